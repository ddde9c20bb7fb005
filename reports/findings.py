"""Give a program or a notebook the results of a sweep or a single run: frames, figures, the page and the answer."""

import base64
import html
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pandas as pd

from harness.errors import unknown
from harness.records import TRAJECTORY, Stage
from reports.contents import Contents, contents
from reports.document import ReportDocument, report_document
from reports.figures.style import Drawn, Width, lay_out, styled
from reports.page import SUBSET, card_of, publish, report_folder, report_of
from reports.source import read_source
from reports.tables import IDENTITY, identity
from reports.trajectories import epoch_images


class Findings:
    """Hold the results of a sweep or a single run. Accuracies are fractions, losses in nats, durations in seconds."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    @cached_property
    def document(self) -> ReportDocument:
        """Return the whole content of the report as one typed document; `report.json` has the same content."""
        return report_document(self._contents)

    @cached_property
    def report(self) -> Path:
        """Return the path of the report's page. The first access writes the page and logs it to MLflow."""
        source = self._contents.source
        return publish(report_of(self._contents), source, report_folder(source)).resolve()

    @property
    def run_id(self) -> str:
        """Return the id of the sweep or single run in MLflow."""
        return self.document.run_id

    @property
    def answer(self) -> str:
        """Return the answer in sentences; empty if there is none."""
        return " ".join(self.document.answer)

    @property
    def optimizers(self) -> pd.DataFrame:
        """Return one row per optimizer, the best first, with the columns of `reports.optimizers.summary_frame`."""
        return self._contents.summary

    @property
    def verdicts(self) -> pd.DataFrame:
        """Return one row per pair of optimizers and outcome (accuracy, loss, images to the target): its verdict."""
        return self._contents.tables["verdicts"]

    @cached_property
    def finals(self) -> pd.DataFrame:
        """Return one row per final, with the columns of `reports.tables.runs_frame`."""
        return self._of_stage(Stage.FINAL)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """Return one row per trial, with the columns of `reports.tables.runs_frame`."""
        return self._of_stage(Stage.TRIAL)

    @property
    def epochs(self) -> pd.DataFrame:
        """Return one row per run and epoch, with the columns of `reports.tables.epochs_frame`."""
        return self._contents.tables["epochs"]

    @cached_property
    def trajectory(self) -> pd.DataFrame:
        """Return one row per run and measured point within its epochs.

        Columns: run_id, optimizer, stage, seed, images (seen so far), epochs (the same, in epochs with fractions),
        train_loss and train_accuracy (means over a window of steps), validation_loss and validation_accuracy (on a
        fixed part of the validation set). A value that was not measured at the point is NaN.
        """
        measures = {name.partition("/")[2]: name for name in TRAJECTORY}
        rows = [
            {**identity(run), "images": images, "epochs": images / epoch_images(run)}
            | {measure: run.history.get(name, {}).get(images) for measure, name in measures.items()}
            for run in self._contents.source.runs
            for images in sorted({step for name in TRAJECTORY for step in run.history.get(name, {})})
        ]
        columns = [*IDENTITY, "images", "epochs", *measures]
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(["epochs", *measures], "float64"))

    @property
    def figures(self) -> tuple[str, ...]:
        """Return the names of the figures of this sweep or run."""
        return tuple(self._contents.pictures)

    def figure(self, name: str, width: Width = "page") -> Drawn:
        """Draw a figure of the report and return it as a matplotlib figure.

        Args:
            name: One of `figures`, such as `convergence`.
            width: `page` (7.2 inches) or `column` (3.5 inches).

        Raises:
            BadInputError: this sweep or run has no such figure.
        """
        if name not in self.figures:
            raise unknown("figure", name, self.figures, "choose one of these")
        with styled():
            drawn = self._contents.pictures[name].draw(width)
            lay_out(drawn, SUBSET if self.document.subset else "")
        return drawn

    def __repr__(self) -> str:
        return f"<{self.document.kind} {self.run_id}: {self.answer or self.document.outcome}>"

    def _repr_html_(self) -> str:
        """Return HTML for a notebook: the answer, and the card of a sweep or the epochs of a single run."""
        return "\n".join(self._html())

    def _html(self) -> Iterator[str]:
        yield f"<p>{html.escape(self.answer or f'{self.document.kind} {self.document.outcome}')}</p>"
        if self.document.kind == "sweep":
            picture = base64.b64encode(card_of(self._contents)).decode()
            yield f'<img alt="{html.escape(self.answer)}" width="800" src="data:image/png;base64,{picture}">'
        else:
            shown = ["epoch", "train_loss", "validation_accuracy", "test_accuracy", "train_seconds"]
            yield self.epochs[shown].dropna(axis="columns", how="all").to_html(index=False)

    def _of_stage(self, stage: Stage) -> pd.DataFrame:
        runs = self._contents.computed.runs
        return runs[runs["stage"] == stage].reset_index(drop=True)


def read_findings(run_id: str | None = None) -> Findings:
    """Read the results of a sweep (by default the latest) or of a single run from MLflow.

    Raises:
        BadInputError: the run does not exist.
    """
    return Findings(contents(read_source(run_id)))
