"""The report's files: a self-contained page, the same in Markdown and JSON, tables, figures in three formats."""

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from harness.paths import work_folder, writable_folder
from harness.records import REPORT_ARTIFACT, Tag
from harness.tracking.mlflow import MlflowTracker
from reports.contents import Contents, contents, targets_summary
from reports.document import ReportDocument, document
from reports.figures.style import FORMATS, GRID, INK, WIDTHS, Picture, lay_out, render, styled
from reports.queries import table_bytes
from reports.source import Source, read_source
from reports.statistics import LEAST_SEEDS
from reports.tables import outcome_of

MADE_WITH = {
    "definition": Tag.DEFINITION_HASH,
    "config": Tag.CONFIG_HASH,
    "state": Tag.STATE_HASH,
    "data": Tag.DATA_DIGEST,
    "git commit": Tag.GIT_COMMIT,
    "uncommitted changes": Tag.GIT_DIRTY,
    "torch": Tag.TORCH,
    "device": Tag.DEVICE,
    "threads per run": Tag.THREADS,
}
ENVIRONMENT = ("python", "platform", "processor", "cpu_capability", "gpus")
NOT_HYPERPARAMETERS = ("optimizer", "validation_accuracy", "run_id", "edges")
CAPTIONS = {
    "final-accuracy": "Test accuracy of every final.",
    "convergence": "The finals after each epoch: median, and a band from the lowest to the highest seed.",
    "epoch-seconds": "Training seconds of an epoch, of the finals that trained alone.",
    "time-to-target": "Training seconds until each validation accuracy, at the pace of finals that trained alone.",
    "performance-profile": "How often each optimizer is within a factor of the fastest, over targets and seeds.",
    "tuning-curves": "What a part of the budget would have found: median and middle 80% over orders of the trials.",
    "learning-rates": "Every trial by its learning rate; hollow: not completed, an arrow: too bad for the scale.",
    "slices": "Every trial by what else was searched; hollow: not completed, an arrow: too bad for the scale.",
    "importances": "How much of the trials' differences each hyperparameter explains (PED-ANOVA).",
    "outcomes": "How the trials ended.",
    "confusion": "Confusions on the test set of the optimizer with the highest mean, all seeds together.",
    "mistakes": "Its most confident mistakes: ground truth → prediction and its probability.",
    "classes": "Accuracy by class.",
}
OTHER_FOLDER = "name another with --out"  # what to do where it can't be written
SUBSET = "subset of the data: these accuracies mean nothing"
NOTE_END = "<!-- end of what the report says -->"  # in the description of a run
LONGEST_CAPTION = 300  # characters; a longer finding is for those who can't see the figure


@dataclass(frozen=True)
class Report:
    """What a report says: its files by name (page, figures, tables), its sentences, and its table of optimizers."""

    files: dict[str, bytes]
    answer: tuple[str, ...]
    summary: pd.DataFrame


def write_report(run_id: str | None = None, folder: Path | None = None) -> tuple[Path, Report]:
    """Write the report of a sweep (the latest by default) or single run from MLflow alone; log it to its run.

    Returns the page's path and what it says.

    Raises:
        BadInputError: no such run, or the folder can't be written.
    """
    source = read_source(run_id)
    target = writable_folder(folder or work_folder("reports", source.sweep.run_id), OTHER_FOLDER)  # before the work
    report = build_report(source)
    write_files(report.files, target)
    tracker = MlflowTracker()
    for name, content in report.files.items():
        tracker.log_artifact(source.sweep.run_id, f"{REPORT_ARTIFACT}/{name}", content)
    tracker.set_tags(source.sweep.run_id, {Tag.NOTE: note(source.sweep.tags.get(Tag.NOTE, ""), report)})
    return target / "report.html", report


def write_files(files: Mapping[str, bytes], folder: Path) -> Path:
    """Each under its name in the folder, which is made; a disk that gets full leaves those that were there."""
    target = writable_folder(folder, OTHER_FOLDER)
    with tempfile.TemporaryDirectory(dir=target) as whole:
        for name, content in files.items():
            path = Path(whole) / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        for name in files:
            (target / name).parent.mkdir(exist_ok=True)
            (Path(whole) / name).replace(target / name)
    return target


def build_report(source: Source) -> Report:
    """The report of what is tracked."""
    said = contents(source)
    files = {
        f"tables/{name}.csv": table_bytes(table.assign(subset=source.definition.subset), "csv")
        for name, table in said.tables.items()
    }
    warning = SUBSET if source.definition.subset else ""
    files |= rendered_figures(said.pictures, warning)
    described = document(said)
    files["report.json"] = _json(described.model_dump(mode="json"))
    files["report.schema.json"] = _json(ReportDocument.model_json_schema())
    values = _template_values(said) | {"svg": inline_figures(files)}
    files["report.md"] = render_template("report.md", values)
    files["report.html"] = render_template("report.html", values)
    return Report(files, said.answer, said.summary)


def note(before: str, report: Report) -> str:
    """The description of the run in MLflow: the answer and the leaderboard, above what it was before."""
    begun = before.rpartition(NOTE_END)[2].lstrip("\n")
    values = {"answer": report.answer, "summary": report.summary.to_dict("records")}
    return f"{render_template('note.md', values).decode()}\n{NOTE_END}\n\n{begun}"


def rendered_figures(pictures: Mapping[str, Picture], warning: str) -> dict[str, bytes]:
    """Each at both widths in all formats, by file name, under a warning where there is one."""
    files = {}
    with styled():
        for name, picture in pictures.items():
            for width in WIDTHS:
                drawn = picture.draw(width)
                lay_out(drawn, warning)
                for kind in FORMATS:
                    files[f"figures/{name}-{width}.{kind}"] = render(drawn, kind, salt=f"{name}-{width}")
    return files


def inline_figures(files: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    """The SVGs by figure and width as they stand in a page: without prologue, in the page's own ink and grid."""
    found: dict[str, dict[str, str]] = {}
    for path, content in files.items():
        if match := re.fullmatch(r"figures/(.+)-(column|page)\.svg", path):
            svg = content.decode()
            svg = svg[svg.index("<svg") :].replace(INK, "currentColor").replace(GRID, "var(--grid)")
            found.setdefault(match[1], {})[match[2]] = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.S)
    return found


def render_template(name: str, values: Mapping[str, Any]) -> bytes:
    """A template of this package; HTML is escaped, and so are the marks of Markdown."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=lambda template: bool(template and template.endswith(".html")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = lambda text: re.sub(r"([\\`*_|<>\[\]#~$])", r"\\\1", " ".join(str(text).split()))
    return environment.get_template(name).render(**values).encode()


def _template_values(said: Contents) -> dict[str, Any]:
    source = said.source
    tables = {name: table.to_dict("records") for name, table in said.tables.items()}
    runs = said.tables["runs"]
    return {
        "sweep": source.sweep,
        "single": source.single,
        "outcome": outcome_of(source.sweep),
        "facts": [(name, source.sweep.tags[tag]) for name, tag in MADE_WITH.items() if tag in source.sweep.tags],
        "environment": [(name, source.environment[name]) for name in ENVIRONMENT if source.environment.get(name)],
        "definition": source.definition,
        "definition_json": json.dumps(source.definition.model_dump(mode="json"), indent=2, sort_keys=True),
        "compute": said.compute,
        "answer": said.answer,
        "checks": [each.model_dump() for each in said.sanity],
        "summary": tables["summary"],
        "differences": tables["differences"],
        "winners": tables["winners"],
        "keys": [name for name in said.tables["winners"].columns if name not in NOT_HYPERPARAMETERS],
        "targets": targets_summary(said.tables["targets"]),
        "classes": tables["classes"],
        "without_pictures": said.without_pictures,
        "failures": tables["failures"],
        "finals": runs[runs["stage"] == "final"].to_dict("records"),
        "trials": runs[runs["stage"] == "trial"].to_dict("records"),
        "recipes": said.recipes,
        "captions": CAPTIONS,
        "findings": {name: picture.finding for name, picture in said.pictures.items()},
        "longest": LONGEST_CAPTION,
        "least_seeds": LEAST_SEEDS,
    }


def _json(values: Any) -> bytes:  # noqa: ANN401
    return json.dumps(values, indent=2, allow_nan=False).encode()
