"""The report of a sweep: one self-contained HTML page, its figures as SVG and PNG, its tables as CSV."""

import json
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from harness.errors import BadInputError
from harness.records import DEFINITION_ARTIFACT, REPORT_ARTIFACT, Tag
from harness.tracking import WORK_FOLDER, MlflowTracker, TrackedRun, latest_sweep, read_artifact, read_sweep
from reports import figures
from reports.frames import epochs_frame, runs_frame, summary_frame


def write_report(sweep_id: str | None = None, folder: Path | None = None) -> Path:
    """Write the report of a sweep (the latest by default) from MLflow alone; log it to the sweep's run.

    Raises:
        BadInputError: no such sweep, or the folder can't be written.
    """
    sweep, children = read_sweep(sweep_id or latest_sweep())
    definition = json.loads(read_artifact(sweep.run_id, DEFINITION_ARTIFACT))
    files = build_report(sweep, children, definition)
    target = folder or WORK_FOLDER / "reports" / sweep.run_id
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (target / name).write_bytes(content)
    except OSError as error:
        raise BadInputError(
            f"output folder {str(target)!r} can't be written ({error.strerror}): "
            "a folder that you may write is allowed; name another with --out"
        ) from None
    tracker = MlflowTracker()
    for name, content in files.items():
        tracker.log_artifact(sweep.run_id, f"{REPORT_ARTIFACT}/{name}", content)
    return target / "report.html"


def build_report(sweep: TrackedRun, children: list[TrackedRun], definition: dict[str, Any]) -> dict[str, bytes]:
    """The report's files by name."""
    epochs = epochs_frame(children)
    runs = runs_frame(children, epochs)
    optimizers = list(definition["optimizers"])
    summary = summary_frame(runs) if len(runs) else pd.DataFrame()
    winners = winners_frame(runs, definition)
    drawn = {
        "final-accuracy": figures.final_accuracy(runs, optimizers),
        "convergence": figures.convergence(epochs, optimizers),
        "training-time": figures.training_time(runs, optimizers),
    }
    files = {
        f"{name}.{kind}": figures.render(figure, kind) for name, figure in drawn.items() for kind in ("svg", "png")
    }
    tables = {"summary": summary, "winners": winners, "runs": runs, "epochs": epochs}
    files |= {f"{name}.csv": table.to_csv(index=False).encode() for name, table in tables.items()}
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("report.html").render(
        sweep=sweep,
        outcome=sweep.tags.get(Tag.OUTCOME, "running"),
        commit=sweep.tags.get(Tag.GIT_COMMIT, "none"),
        definition=definition,
        summary=summary.to_dict("records"),
        winners=winners.to_dict("records"),
        keys=[name for name in winners.columns if name not in ("optimizer", "validation_accuracy", "run_id")],
        svg={
            name: files[f"{name}.svg"].decode().partition("<svg")[1]
            + files[f"{name}.svg"].decode().partition("<svg")[2]
            for name in drawn
        },
    )
    return {"report.html": page.encode(), **files}


def winners_frame(runs: pd.DataFrame, definition: dict[str, Any]) -> pd.DataFrame:
    """The trial that validation selected, per optimizer: its values of the searched keys, its run."""
    rows = []
    for optimizer in definition["optimizers"]:
        if not len(runs):
            break
        trials = runs[
            (runs["optimizer"] == optimizer) & (runs["stage"] == "trial") & (runs["outcome"] == "completed")
        ]
        if not len(trials):
            continue
        best = trials.loc[trials["validation_accuracy"].astype(float).idxmax()]
        keys = [*definition["spaces"][optimizer], *definition["space"]]
        rows.append(
            {"optimizer": optimizer}
            | {key: float(best[f"config.{key}"]) for key in keys}
            | {"validation_accuracy": best["validation_accuracy"], "run_id": best["run_id"]}
        )
    return pd.DataFrame(rows)
