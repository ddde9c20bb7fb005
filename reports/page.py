"""The report of a sweep: one self-contained HTML page, its figures as SVG and PNG, its tables as CSV."""

import json
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from harness.records import DEFINITION_ARTIFACT, REPORT_ARTIFACT, Tag
from harness.tracking import (
    WORK_FOLDER,
    MlflowTracker,
    TrackedRun,
    latest_sweep,
    read_artifact,
    read_sweep,
    writable_folder,
)
from reports import figures
from reports.frames import epochs_frame, runs_frame, summary_frame, winners_frame, without_superseded

MADE_WITH = {
    "definition": Tag.DEFINITION_HASH,
    "data": Tag.DATA_DIGEST,
    "git commit": Tag.GIT_COMMIT,
    "uncommitted changes": Tag.GIT_DIRTY,
    "torch": Tag.TORCH,
    "device": Tag.DEVICE,
    "threads per run": Tag.THREADS,
}
FIGURES = {
    "final-accuracy": "Test accuracy of every final, by optimizer; the table below holds the numbers",
    "convergence": "Validation loss and accuracy of the finals, against epochs and against training seconds",
    "training-time": "Training seconds per epoch of every final, by optimizer",
}


def write_report(sweep_id: str | None = None, folder: Path | None = None) -> Path:
    """Write the report of a sweep (the latest by default) from MLflow alone; log it to the sweep's run.

    Raises:
        BadInputError: no such sweep, or the folder can't be written.
    """
    sweep, children = read_sweep(sweep_id or latest_sweep())
    definition = json.loads(read_artifact(sweep.run_id, DEFINITION_ARTIFACT))
    files = build_report(sweep, children, definition)
    target = writable_folder(folder or WORK_FOLDER / "reports" / sweep.run_id, "name another with --out")
    for name, content in files.items():
        (target / name).write_bytes(content)
    tracker = MlflowTracker()
    for name, content in files.items():
        tracker.log_artifact(sweep.run_id, f"{REPORT_ARTIFACT}/{name}", content)
    return target / "report.html"


def build_report(sweep: TrackedRun, children: list[TrackedRun], definition: dict[str, Any]) -> dict[str, bytes]:
    """The report's files by name: page, figures, tables."""
    epochs = epochs_frame(children)
    runs = without_superseded(runs_frame(children, epochs), definition)
    epochs = epochs[epochs["run_id"].isin(runs["run_id"])]
    summary = summary_frame(runs)
    winners = winners_frame(runs, definition)
    optimizers = list(definition["optimizers"])
    drawn = {
        "final-accuracy": figures.final_accuracy(runs, optimizers),
        "convergence": figures.convergence(epochs, optimizers),
        "training-time": figures.training_time(runs, optimizers),
    }
    if definition["subset"]:
        for figure in drawn.values():
            figure.supxlabel("subset of the data: these accuracies mean nothing", fontsize=10, color="#a66a00")
    files = {
        f"{name}.{kind}": figures.render(figure, kind, salt=name)
        for name, figure in drawn.items()
        for kind in ("svg", "png")
    }
    tables = {"summary": summary, "winners": winners, "runs": runs, "epochs": epochs}
    for name, table in tables.items():
        files[f"{name}.csv"] = table.assign(subset=definition["subset"]).to_csv(index=False).encode()
    return {"report.html": _page(sweep, definition, summary, winners, files).encode(), **files}


def _page(
    sweep: TrackedRun,
    definition: dict[str, Any],
    summary: pd.DataFrame,
    winners: pd.DataFrame,
    files: dict[str, bytes],
) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    svg = {name: files[f"{name}.svg"].decode() for name in FIGURES}
    return environment.get_template("report.html").render(
        sweep=sweep,
        outcome=sweep.tags.get(Tag.OUTCOME, "running"),
        tags=[(name, sweep.tags[tag]) for name, tag in MADE_WITH.items() if tag in sweep.tags],
        definition=definition,
        summary=summary.to_dict("records"),
        winners=winners.to_dict("records"),
        keys=[name for name in winners.columns if name not in ("optimizer", "validation_accuracy", "run_id")],
        captions=FIGURES,
        svg={name: text[text.index("<svg") :] for name, text in svg.items()},  # less the XML prologue
    )
