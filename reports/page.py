"""The report of a sweep: one self-contained HTML page, its figures as SVG and PNG, its tables as CSV."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from harness.records import REPORT_ARTIFACT, Tag
from harness.tracking import (
    MlflowTracker,
    TrackedRun,
    latest_sweep,
    read_definition,
    read_sweep,
    work_folder,
    writable_folder,
)
from reports import figures
from reports.answer import answer, sanity
from reports.frames import (
    differences_frame,
    epochs_frame,
    finals_by_seed,
    runs_frame,
    summary_frame,
    winners_frame,
    without_superseded,
)

MADE_WITH = {
    "definition": Tag.DEFINITION_HASH,
    "data": Tag.DATA_DIGEST,
    "git commit": Tag.GIT_COMMIT,
    "uncommitted changes": Tag.GIT_DIRTY,
    "torch": Tag.TORCH,
    "device": Tag.DEVICE,
    "threads per run": Tag.THREADS,
}
NOT_HYPERPARAMETERS = ("optimizer", "validation_accuracy", "run_id", "edges")
FIGURES = {
    "final-accuracy": "Test accuracy of every final, by optimizer; the table below holds the numbers",
    "convergence": "Validation loss and accuracy of the finals, against epochs and against training seconds",
    "training-time": "Training seconds per epoch of the finals that trained alone, by optimizer",
}


@dataclass(frozen=True)
class Report:
    """What a report says: its files by name (page, figures, tables), its sentences, and its table of optimizers."""

    files: dict[str, bytes]
    answer: tuple[str, ...]
    summary: pd.DataFrame


def write_report(sweep_id: str | None = None, folder: Path | None = None) -> tuple[Path, Report]:
    """Write the report of a sweep (the latest by default) from MLflow alone; log it to the sweep's run.

    Returns the page's path and what it says.

    Raises:
        BadInputError: no such sweep, or the folder can't be written.
    """
    sweep, children = read_sweep(sweep_id or latest_sweep())
    definition = read_definition(sweep.run_id)
    report = build_report(sweep, children, definition)
    target = writable_folder(folder or work_folder("reports", sweep.run_id), "name another with --out")
    with tempfile.TemporaryDirectory(dir=target) as whole:  # a disk that gets full leaves the report that was there
        for name, content in report.files.items():
            (Path(whole) / name).write_bytes(content)
        for name in report.files:
            (Path(whole) / name).replace(target / name)
    tracker = MlflowTracker()
    for name, content in report.files.items():
        tracker.log_artifact(sweep.run_id, f"{REPORT_ARTIFACT}/{name}", content)
    return target / "report.html", report


def build_report(sweep: TrackedRun, children: list[TrackedRun], definition: dict[str, Any]) -> Report:
    """The report of what is tracked of a sweep."""
    epochs = epochs_frame(children)
    runs = without_superseded(runs_frame(children, epochs), definition)
    epochs = epochs[epochs["run_id"].isin(runs["run_id"])]
    optimizers = list(definition["optimizers"])
    finals = finals_by_seed(runs, optimizers)
    tables = {
        "summary": summary_frame(runs, definition),
        "winners": winners_frame(runs, definition),
        "differences": differences_frame(finals),
        "runs": runs,
        "epochs": epochs,
    }
    at_edge = tables["summary"].loc[tables["summary"]["edges"] != "", "optimizer"].tolist()
    drawn = {
        "final-accuracy": figures.final_accuracy(runs, optimizers, at_edge),
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
    for name, table in tables.items():
        files[f"{name}.csv"] = table.assign(subset=definition["subset"]).to_csv(index=False).encode()
    sentences = tuple(answer(definition, finals, tables["summary"]))
    page = _page(sweep, definition, tables, sentences, [each.model_dump() for each in sanity(finals)], files)
    return Report({"report.html": page.encode(), **files}, sentences, tables["summary"])


def _page(
    sweep: TrackedRun,
    definition: dict[str, Any],
    tables: dict[str, pd.DataFrame],
    sentences: tuple[str, ...],
    checks: list[dict[str, Any]],
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
        sentences=sentences,
        checks=checks,
        summary=tables["summary"].to_dict("records"),
        differences=tables["differences"].to_dict("records"),
        winners=tables["winners"].to_dict("records"),
        keys=[name for name in tables["winners"].columns if name not in NOT_HYPERPARAMETERS],
        captions=FIGURES,
        svg={name: text[text.index("<svg") :] for name, text in svg.items()},  # less the XML prologue
    )
