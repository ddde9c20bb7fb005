"""What the models get wrong: the winner's confusions, the most confident mistakes as images, accuracy by class."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from harness.colours import COLOURS
from harness.records import Mistake, Mistakes
from reports.figures.style import INK, Look, Width, figure, legend, looks, tinted
from reports.tables import untested_classes

SIDE = 28
MOST_NAMED = 10  # classes in a sentence
Counts = tuple[tuple[int, ...], ...]
MistakesOfFinals = Mapping[str, Mapping[str, Mistakes]]  # by optimizer, the best first, and seed


@dataclass(frozen=True)
class Confusion:
    """Test images by ground truth (row) and prediction (column), summed over the finals of `optimizer`."""

    optimizer: str
    seeds: int
    class_names: tuple[str, ...]
    counts: Counts

    @property
    def finding(self) -> str:
        """How many are wrong, and the most frequent confusion."""
        counts = np.array(self.counts)
        wrong = counts.sum() - np.trace(counts)
        seeds = f"{self.seeds} seed{'s' if self.seeds > 1 else ''}"
        text = f"{self.optimizer} gets {wrong} of {counts.sum()} test images wrong over {seeds}"
        if not wrong:
            return text + "."
        np.fill_diagonal(counts, 0)
        row, column = np.unravel_index(counts.argmax(), counts.shape)
        return (
            f"{text}; most often it takes {self.class_names[row]} for {self.class_names[column]}, "
            f"{counts[row, column]} times."
        )

    def draw(self, width: Width) -> Figure:
        """The matrix, coloured by the mistakes alone."""
        counts = np.array(self.counts)
        wrong = np.where(np.eye(len(counts), dtype=bool), 0, counts)
        drawn = figure(width, 3.3)
        axis = drawn.subplots()
        axis.imshow(tinted(wrong / max(1, wrong.max()), COLOURS[1]))
        for row, column in np.argwhere(counts > 0):
            weight = "normal" if row == column else "bold"
            axis.text(column, row, counts[row, column], ha="center", va="center", fontsize=6.4, fontweight=weight)
        long = max(map(len, self.class_names)) > 2
        axis.set_xticks(range(len(counts)), self.class_names, rotation=45 if long else 0, fontsize=7)
        axis.set_yticks(range(len(counts)), self.class_names, fontsize=7)
        axis.set(xlabel="prediction", ylabel="ground truth")
        axis.grid(visible=False)
        return drawn


@dataclass(frozen=True)
class ConfidentMistakes:
    """The wrong predictions of highest probability of one final of `optimizer`."""

    optimizer: str
    seed: str
    class_names: tuple[str, ...]
    mistakes: tuple[Mistake, ...]

    @property
    def pictured(self) -> bool:
        """Whether they are images, not rows of features."""
        return all(each.pixels for each in self.mistakes)

    @property
    def finding(self) -> str:
        """Each mistake in words."""
        thing = "image" if self.pictured else "row"
        named = [
            f"{thing} {each.index}, {self.class_names[each.ground_truth]} taken for "
            f"{self.class_names[each.prediction]} ({each.probability:.1%})"
            for each in self.mistakes
        ]
        return f"The most confident mistakes of {self.optimizer}, seed {self.seed}: {'; '.join(named)}."

    def draw(self, width: Width) -> Figure:
        """The images, with ground truth, prediction and its probability."""
        long = max(map(len, self.class_names)) > 2
        columns = (5 if long else 10) if width == "page" else (3 if long else 5)
        rows = -(-len(self.mistakes) // columns)
        drawn = figure(width, (1.3 if long else 1.02) * rows)
        axes = drawn.subplots(rows, columns, squeeze=False).flatten()
        for axis in axes:
            axis.set_axis_off()
        for axis, each in zip(axes, self.mistakes, strict=False):
            pixels = np.frombuffer(base64.b64decode(each.pixels), dtype=np.uint8).reshape(SIDE, SIDE)
            axis.imshow(pixels, cmap="gray", vmin=0, vmax=255)
            truth, prediction = self.class_names[each.ground_truth], self.class_names[each.prediction]
            arrow = " →\n" if long else " → "
            axis.set_title(f"{truth}{arrow}{prediction}\n{each.probability:.1%}", fontsize=7, loc="center", pad=2)
        return drawn


@dataclass(frozen=True)
class Classes:
    """The share of each class's test images that an optimizer's finals got right, by class and optimizer.

    `untested` are the classes without test images, which have no such share.
    """

    accuracies: Mapping[str, Mapping[str, float]]
    looks: Mapping[str, Look]
    untested: tuple[str, ...] = ()

    @property
    def finding(self) -> str:
        """The hardest class, and the easiest."""
        means = {name: float(np.mean(list(each.values()))) for name, each in self.accuracies.items()}
        hardest, easiest = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
        return (
            f"Over all optimizers class {hardest} is the hardest, at {means[hardest]:.2%}, "
            f"and {easiest} the easiest, at {means[easiest]:.2%}.{self._left_out}"
        )

    @property
    def _left_out(self) -> str:
        if not self.untested:
            return ""
        named, more = self.untested[:MOST_NAMED], len(self.untested) - MOST_NAMED
        return f" Without test images, and left out: {', '.join(named)}{f' and {more} more' if more > 0 else ''}."

    def draw(self, width: Width) -> Figure:
        """A row a class, a marker an optimizer."""
        drawn = figure(width, 0.9 + 0.22 * len(self.accuracies))
        axis = drawn.subplots()
        names = list(next(iter(self.accuracies.values())))
        for name in names:
            values = [100 * each[name] for each in self.accuracies.values()]
            axis.plot(values, range(len(values)), self.looks[name].marker, color=self.looks[name].colour, alpha=0.8)
        for row, each in enumerate(self.accuracies.values()):
            ends = [100 * min(each.values()), 100 * max(each.values())]
            axis.plot(ends, [row, row], color=INK, linewidth=0.5, alpha=0.4, zorder=0)
        axis.set_yticks(range(len(self.accuracies)), list(self.accuracies))
        axis.invert_yaxis()
        parts = ("test images of the class that are right (%)", "mean over seeds")
        axis.set_xlabel((", " if width == "page" else ",\n").join(parts))
        axis.grid(visible=False, axis="y")
        axis.grid(visible=True, axis="x")
        legend(drawn, names, self.looks, width)
        return drawn


def confusion(mistakes: MistakesOfFinals) -> Confusion | None:
    """Return the figure of the best optimizer, summed over its finals; None where no final has its mistakes."""
    for optimizer, of_seeds in mistakes.items():
        finals = list(of_seeds.values())
        counts = np.sum([each.confusion for each in finals], axis=0)
        return Confusion(optimizer, len(finals), finals[0].class_names, tuple(map(tuple, counts.tolist())))
    return None


def gallery(mistakes: MistakesOfFinals) -> ConfidentMistakes | None:
    """Return the figure of the best optimizer's first final; None without mistakes, and for rows of features."""
    found = _most_confident(mistakes)
    return found if found and found.pictured else None


def without_pictures(mistakes: MistakesOfFinals) -> str:
    """The most confident mistakes in words, where they have no picture; else empty."""
    found = _most_confident(mistakes)
    return f"Rows of features have no picture. {found.finding}" if found and not found.pictured else ""


def _most_confident(mistakes: MistakesOfFinals) -> ConfidentMistakes | None:
    for name, of_seeds in mistakes.items():
        seed, first = next(iter(of_seeds.items()))
        found = ConfidentMistakes(name, seed, first.class_names, first.most_confident)
        return found if found.mistakes else None
    return None


def classes(frame: pd.DataFrame, optimizers: Sequence[str], mistakes: MistakesOfFinals) -> Classes | None:
    """Return the figure of the frame of classes; None where it is empty."""
    if not len(frame):
        return None
    rows = frame.pivot(index="class", columns="optimizer", values="accuracy").to_dict("index")
    return Classes(
        {str(name): {str(key): float(value) for key, value in row.items()} for name, row in rows.items()},
        looks(optimizers),
        untested_classes(final for of_seeds in mistakes.values() for final in of_seeds.values()),
    )
