"""Write the report's files: a self-contained page, the same in Markdown and JSON, tables, figures, the card."""

import base64
import functools
import hashlib
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from harness.colours import INK
from harness.paths import work_folder, writable_folder
from harness.records import REPORT_ARTIFACT, Tag
from harness.tracking.mlflow import MlflowTracker
from reports.columns import Table
from reports.contents import Contents, contents
from reports.design import design, epoch_size
from reports.document import ReportDocument, report_document
from reports.figures.card import card
from reports.figures.chips import chip
from reports.figures.style import GRID, WIDTHS, Picture, lay_out, looks, styled
from reports.figures.svg import PAGE_FORMATS, render
from reports.optimizers import IN_MLFLOW
from reports.queries import table_bytes
from reports.sections import sections
from reports.shown_tables import shown_tables
from reports.source import Source, read_source
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
OTHER_FOLDER = "name another with `out`"  # the next step if a folder can't be written
SUBSET = "subset of the data: these accuracies mean nothing"
CARD = "card.png"
NOTE_END = "<!-- end of what the report says -->"  # marks the report's part of a run's description


@dataclass(frozen=True)
class Report:
    """A report: its files by name (page, figures, tables), its document, and its table of optimizers."""

    files: dict[str, bytes]
    document: ReportDocument
    summary: pd.DataFrame

    @property
    def answer(self) -> tuple[str, ...]:
        """Return the sentences of the answer."""
        return self.document.answer


def write_report(
    run_id: str | None = None, folder: Path | None = None, formats: Sequence[str] = PAGE_FORMATS
) -> tuple[Path, Report]:
    """Write the report of a sweep (by default the latest) or single run from MLflow alone, and log it to its run.

    `formats` are those of the figure files; the page itself holds SVG. Returns the page's path and the report.

    Raises:
        BadInputError: the run is unknown, or the folder can't be written.
    """
    source = read_source(run_id)
    target = writable_folder(folder or report_folder(source), OTHER_FOLDER)  # fail early
    report = build_report(source, formats)
    return publish(report, source, target), report


def publish(report: Report, source: Source, folder: Path) -> Path:
    """Write a report's files into the folder, log them to the report's run, and return the page's path.

    Raises:
        BadInputError: the folder can't be written.
    """
    write_files(report.files, folder)
    tracker = MlflowTracker()
    for name, content in report.files.items():
        where = name if name == CARD else f"{REPORT_ARTIFACT}/{name}"  # the card at the top, to be seen
        tracker.log_artifact(source.sweep.run_id, where, content)
    tracker.set_tags(source.sweep.run_id, {Tag.NOTE: note(source.sweep.tags.get(Tag.NOTE, ""), report)})
    return folder / "report.html"


def report_folder(source: Source) -> Path:
    """Return the default folder of a report's files."""
    return work_folder("reports", source.sweep.run_id)


def write_files(files: Mapping[str, bytes], folder: Path) -> Path:
    """Write files by name into a folder, which is created if needed; a disk that is full leaves the old files."""
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


def build_report(source: Source, formats: Sequence[str] = PAGE_FORMATS) -> Report:
    """Return the report on a source."""
    return report_of(contents(source), formats)


def report_of(said: Contents, formats: Sequence[str] = PAGE_FORMATS) -> Report:
    """Return the report with these contents; `formats` are those of the figure files."""
    source = said.source
    files = {
        f"tables/{name}.csv": table_bytes(table.assign(subset=source.definition.subset), "csv")
        for name, table in said.tables.items()
    }
    warning = SUBSET if source.definition.subset else ""
    files |= rendered_figures(said.pictures, warning, formats)
    if not source.single:
        files[CARD] = card_of(said)
    described = report_document(said)
    files["report.json"] = _json(described.model_dump(mode="json"))
    files["report.schema.json"] = _json(ReportDocument.model_json_schema())
    files["definition.json"] = _json(source.definition.model_dump(mode="json"))
    values = _template_values(said) | {"sections": sections(said, inline_figures(files))}
    files["report.md"] = render_template("report.md", values)
    files["report.html"] = render_template("report.html", values)
    return Report(files, described, said.summary)


def note(before: str, report: Report) -> str:
    """Return the run's description in MLflow: the answer and the leaderboard, above the earlier description."""
    begun = before.rpartition(NOTE_END)[2].lstrip("\n")
    table = Table("", IN_MLFLOW, report.summary.to_dict("records"))
    values = {"answer": report.answer, "table": table}
    return f"{render_template('note.md', values).decode()}\n{NOTE_END}\n\n{begun}"


def card_of(said: Contents) -> bytes:
    """Return the card of a sweep as PNG, 1200 by 630."""
    definition = said.source.definition
    count, dataset = len(definition.optimizers), definition.base.dataset.name
    title = f"{said.source.sweep.experiment}: {count} optimizer{'' if count == 1 else 's'} on {dataset}"
    shown = said.pictures.get("differences") or said.pictures.get("final-accuracy")
    with styled():
        drawn = card(said.computed, title, said.answer[0], shown, SUBSET if definition.subset else "")
        return render(drawn, "png", "card", dots=100)


def rendered_figures(
    pictures: Mapping[str, Picture], warning: str, formats: Sequence[str] = PAGE_FORMATS
) -> dict[str, bytes]:
    """Return each figure in both widths and all formats, by file name, with `warning` above if it is not empty."""
    files = {}
    with styled():
        for name, picture in pictures.items():
            for width in WIDTHS:
                drawn = picture.draw(width)
                lay_out(drawn, warning)
                for kind in formats:
                    files[f"figures/{name}-{width}.{kind}"] = render(drawn, kind, salt=f"{name}-{width}")
    return files


def inline_figures(files: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    """Return the SVGs by figure and width for use in a page: without prologue, in the page's colours."""
    found: dict[str, dict[str, str]] = {}
    for path, content in files.items():
        if match := re.fullmatch(r"figures/(.+)-(column|page)\.svg", path):
            svg = content.decode()
            svg = svg[svg.index("<svg") :].replace(INK, "currentColor").replace(GRID, "var(--grid)")
            found.setdefault(match[1], {})[match[2]] = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.S)
    return found


def render_template(name: str, values: Mapping[str, Any]) -> bytes:
    """Render a template of this package; special characters of HTML or Markdown in values are escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=lambda template: bool(template and template.endswith(".html")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["chip"] = chip
    environment.globals["script"] = _script()
    environment.filters["plain"] = lambda text: re.sub(r"([\\`*_|<>\[\]#~$])", r"\\\1", " ".join(str(text).split()))
    return environment.get_template(name).render(**values).encode()


@functools.cache
def _script() -> tuple[str, str]:
    """Return the page's script and its digest; the page's security policy allows only a script with that digest."""
    text = resources.files("reports").joinpath("templates/page.js").read_text(encoding="utf-8")
    return text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _template_values(said: Contents) -> dict[str, Any]:
    source = said.source
    return {
        "sweep": source.sweep,
        "single": source.single,
        "outcome": outcome_of(source.sweep),
        "facts": [(name, source.sweep.tags[tag]) for name, tag in MADE_WITH.items() if tag in source.sweep.tags],
        "environment": [(name, source.environment[name]) for name in ENVIRONMENT if source.environment.get(name)],
        "definition": source.definition,
        "design": design(source.definition, source.single, said.computed.things),
        "epoch_size": epoch_size(source.definition),
        "looks": looks(source.definition.optimizers),
        "summary": said.summary.to_dict("records"),
        "left_out": said.left_out,
        "compute": said.computed.compute,
        "things": said.computed.things,
        "answer": said.answer,
        "suspicions": said.suspicions,
        "luck": said.computed.luck,
        "tables": shown_tables(said),
        "recipes": said.recipes,
    }


def _json(values: Any) -> bytes:  # noqa: ANN401
    return json.dumps(values, indent=2, allow_nan=False).encode()
