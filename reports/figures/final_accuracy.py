"""Final accuracy by optimizer: every seed, the mean, its interval, beside the majority and the chapter's run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.colours import COLOURS, GREY
from harness.config import AnyDatasetConfig
from reports.caveats import Majority
from reports.figures.style import Look, Width, drawable, figure, looks
from studies.definition import LEAST_UNITS

# of the chapter's program on all 60,000 images after two epochs: `harness run chapter`
CHAPTER = 0.9847
LEAST_IMAGES = 50_000  # to train on, for that to be comparable


@dataclass(frozen=True)
class OptimizerFinals:
    """One optimizer's: test accuracies by seed, their mean and its 95% interval, as fractions."""

    optimizer: str
    values: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None
    tiers: str
    fully_tuned: bool


@dataclass(frozen=True)
class FinalAccuracy:
    """The final accuracy of all optimizers with a final, the best first.

    `reference`: the chapter's result, where it is comparable. `majority`: what the most frequent class alone would
    give, where that is known.
    """

    optimizers: tuple[OptimizerFinals, ...]
    reference: float | None
    looks: Mapping[str, Look]
    majority: Majority | None

    @property
    def finding(self) -> str:
        """Best and worst, and what no training at all would give."""
        best, worst = self.optimizers[0], self.optimizers[-1]
        seeds = len(best.values)
        text = f"{best.optimizer} has the highest mean test accuracy, {best.mean:.2%} over {_count(seeds, 'seed')}"
        if best is not worst:
            text += f"; {worst.optimizer} the lowest, {worst.mean:.2%}"
        first = {rank for each in self.optimizers for rank in each.tiers.split(", ") if rank}
        if len(self.optimizers) > 1 and len(best.values) >= LEAST_UNITS:
            text += (
                ". None is shown to be better than another"
                if len(first) == 1
                else f". They are in {len(first)} tiers"
            )
        if self.majority is not None:
            text += f". Always saying class {self.majority.name} would give {self.majority.share:.2%}"
        return text + "."

    @property
    def window(self) -> tuple[float, float]:
        """What the larger panel shows of the scale (fractions): all seeds, and the intervals that are drawn."""
        values = [value for each in self.optimizers for value in each.values]
        lows = [each.low for each in self.optimizers if each.low is not None and len(each.values) >= LEAST_UNITS]
        highs = [each.high for each in self.optimizers if each.high is not None and len(each.values) >= LEAST_UNITS]
        low, high = min(values + lows), max(values + highs)
        margin = max(high - low, 0.001) * 0.08
        return max(0.0, low - margin), min(1.0, high + margin)

    def draw(self, width: Width) -> Figure:
        """A strip of the whole scale above, and the part of it where the finals are."""
        drawn = figure(width, 1.27 + 0.24 * len(self.optimizers))
        strip, axis = drawn.subplots(2, 1, height_ratios=[0.3, 0.4 + 0.24 * len(self.optimizers)])
        self._draw_whole_scale(strip, width)
        for row, each in enumerate(self.optimizers):
            self._draw_finals(axis, row, each)
        low, high = self.window
        if self.reference is not None and low < self.reference < high:
            self._draw_reference(axis, 100 * self.reference)
        if self.majority is not None and low < self.majority.share < high:
            axis.axvline(100 * self.majority.share, linestyle=":", linewidth=1, color=GREY)  # the title says what
        names = [self.looks[each.optimizer].label + ("" if each.fully_tuned else "*") for each in self.optimizers]
        axis.set_yticks(range(len(names)), names)
        axis.set(ylim=(len(names) - 0.4, -0.6), xlim=(100 * low, 100 * high))
        if len(self.optimizers) > 1:
            for row, text in enumerate(["tier", *(each.tiers for each in self.optimizers)], -1):
                axis.text(1.02, max(row, -0.75), text, va="center", transform=axis.get_yaxis_transform())
        parts = ["test accuracy (%), zoomed: a point a seed", "the line their mean"]
        if max(len(each.values) for each in self.optimizers) >= LEAST_UNITS:
            parts.append("below it its 95% interval")
        axis.xaxis.set_major_locator(MaxNLocator(8 if width == "page" else 4))
        axis.set_xlabel((", " if width == "page" else ",\n").join(parts))
        axis.grid(visible=False, axis="y")
        axis.grid(visible=True, axis="x")
        return drawn

    def _draw_reference(self, axis: Axes, percent: float) -> None:
        axis.axvline(percent, linestyle="--", linewidth=1, color=GREY)
        axis.annotate(
            "the chapter's run",
            (percent, 1),
            xycoords=("data", "axes fraction"),
            xytext=(2, 1),
            textcoords="offset points",
            fontsize=7,
        )

    def _draw_whole_scale(self, strip: Axes, width: Width) -> None:
        low, high = self.window
        strip.axvspan(100 * low, 100 * high, alpha=0.18, color=COLOURS[0], linewidth=0)
        title = "the whole scale (%); shaded: the part below"
        if self.majority is not None:
            share = self.majority.share
            strip.axvline(100 * share, linestyle=":", linewidth=1, color=GREY)
            name = f" {drawable(self.majority.name)}" if width == "page" else ""
            title += f"\ndotted: always the majority class{name}, {share:.2%}"
        if self.reference is not None:
            strip.axvline(100 * self.reference, linestyle="--", linewidth=1, color=GREY)
        for each in self.optimizers:
            look = self.looks[each.optimizer]
            strip.plot(100 * each.mean, 0.5, look.marker, color=look.colour)
        strip.set(xlim=(0, 100), ylim=(0, 1), yticks=[], title=title)
        strip.spines["left"].set_visible(False)
        strip.grid(visible=False)

    def _draw_finals(self, axis: Axes, row: int, finals: OptimizerFinals) -> None:
        look = self.looks[finals.optimizer]
        values = [100 * value for value in finals.values]
        axis.plot(values, [row] * len(values), look.marker, color=look.colour, alpha=0.75)
        if len(values) > 1:
            axis.plot([100 * finals.mean] * 2, [row - 0.28, row + 0.28], color=look.colour, linewidth=2)
        if finals.low is not None and finals.high is not None and len(values) >= LEAST_UNITS:
            axis.plot([100 * finals.low, 100 * finals.high], [row + 0.28] * 2, color=look.colour, alpha=0.6)


def final_accuracy(
    summary: pd.DataFrame,
    finals: Mapping[str, Mapping[int, float]],
    optimizers: Sequence[str],
    dataset: AnyDatasetConfig,
    majority: Majority | None,
) -> FinalAccuracy | None:
    """Return the figure of the summary's optimizers with a completed final; None where there is none."""
    rows = [row for row in summary.to_dict("records") if row["seeds"]]
    if not rows:
        return None
    measured = tuple(
        OptimizerFinals(
            optimizer=row["optimizer"],
            values=tuple(finals[row["optimizer"]].values()),
            mean=row["mean"],
            low=None if pd.isna(row["low"]) else row["low"],
            high=None if pd.isna(row["high"]) else row["high"],
            tiers=row["tiers"],
            fully_tuned=not row["edges"],
        )
        for row in rows
    )
    comparable = dataset.name == "mnist" and dataset.train_size >= LEAST_IMAGES
    reference = CHAPTER if comparable else None
    return FinalAccuracy(measured, reference, looks(optimizers), majority)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
