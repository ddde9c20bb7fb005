"""Training time: seconds an epoch, time to target accuracies, and how often each optimizer is near the fastest."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.colours import GREY
from reports.curves import median_or_never, performance_profile
from reports.figures.style import Look, Width, figure, label_ends, looks

NEVER = "never"


@dataclass(frozen=True)
class EpochSeconds:
    """Training seconds of each epoch of the finals that trained alone, by optimizer, the fastest first."""

    seconds: Mapping[str, tuple[float, ...]]
    looks: Mapping[str, Look]

    @property
    def finding(self) -> str:
        """Fastest and slowest."""
        means = {name: sum(each) / len(each) for name, each in self.seconds.items()}
        fastest, slowest = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
        text = f"An epoch of {fastest} takes {means[fastest]:.3g} s"
        return f"{text}, the least; of {slowest} {means[slowest]:.3g} s, the most." if len(means) > 1 else text + "."

    def draw(self, width: Width) -> Figure:
        """A point each epoch."""
        drawn = figure(width, 0.7 + 0.22 * len(self.seconds))
        axis = drawn.subplots()
        for row, (name, values) in enumerate(self.seconds.items()):
            axis.plot(values, [row] * len(values), self.looks[name].marker, color=self.looks[name].colour, alpha=0.75)
        axis.set_yticks(range(len(self.seconds)), [self.looks[name].label for name in self.seconds])
        axis.set_ylim(len(self.seconds) - 0.4, -0.6)
        axis.set_xlim(0, None)
        axis.set_xlabel("training seconds, a point an epoch")
        axis.grid(visible=False, axis="y")
        axis.grid(visible=True, axis="x")
        return drawn


def epoch_seconds(runs: pd.DataFrame, epochs: pd.DataFrame, optimizers: Sequence[str]) -> EpochSeconds | None:
    """Return the figure of the quiet finals; None where there is none."""
    quiet = epochs[epochs["run_id"].isin(runs.loc[runs["stage"] == "final", "run_id"])]
    seconds = {
        name: tuple(mine["train_seconds"].dropna())
        for name in optimizers
        if len(mine := quiet[quiet["optimizer"] == name]) and mine["train_seconds"].notna().any()
    }
    ordered = dict(sorted(seconds.items(), key=lambda each: sum(each[1]) / len(each[1])))
    return EpochSeconds(ordered, looks(optimizers)) if ordered else None


@dataclass(frozen=True)
class TimeToTarget:
    """Seconds of training until each target accuracy (fraction), one a seed; infinite where it never got there."""

    seconds: Mapping[float, Mapping[str, tuple[float, ...]]]
    looks: Mapping[str, Look]

    @property
    def finding(self) -> str:
        """Who reaches each target first, in the median."""
        sentences = []
        for target, by_name in self.seconds.items():
            medians = {name: median_or_never(values) for name, values in by_name.items()}
            there = {name: value for name, value in medians.items() if value is not None}
            if there:
                first = min(there, key=there.__getitem__)
                sentences.append(f"{100 * target:g}%: {first} first, in a median of {there[first]:.3g} s")
            else:
                sentences.append(f"{100 * target:g}%: reached by none in the median")
        return "; ".join(sentences) + "."

    def draw(self, width: Width) -> Figure:
        """A panel a target, a row an optimizer, a point a seed; at the right those that never got there."""
        columns = len(self.seconds) if width == "page" else 2
        rows = math.ceil(len(self.seconds) / columns)
        names = list(next(iter(self.seconds.values())))
        drawn = figure(width, rows * (0.55 + 0.2 * len(names)))
        axes = drawn.subplots(rows, columns, sharey=True, squeeze=False).flatten()
        finite = [value for by in self.seconds.values() for each in by.values() for value in each if value < math.inf]
        end = 1.15 * max(finite, default=1.0)
        for axis, (target, by_name) in zip(axes, self.seconds.items(), strict=False):
            for row, name in enumerate(names):
                look = self.looks[name]
                for value, count in sorted(Counter(by_name[name]).items()):
                    if value < math.inf:
                        axis.plot(value, row, look.marker, color=look.colour)
                    at = (value, row) if value < math.inf else (end, row)
                    if count > 1 or value == math.inf:
                        offset = (5, 0) if value < math.inf else (-4, 0)
                        axis.annotate(f"{count}×", at, offset, textcoords="offset points", va="center", fontsize=7)
            axis.axvline(0.93 * end, color=GREY, linewidth=0.6, linestyle=":")
            axis.set_title(f"{100 * target:g}%")
            axis.set_xlim(0, 1.06 * end)
            ticks = [tick for tick in MaxNLocator(3).tick_values(0, end) if 0 <= tick < 0.8 * end]
            axis.set_xticks([*ticks, end], [*(f"{tick:g}" for tick in ticks), NEVER])
            axis.set_ylim(len(names) - 0.4, -0.6)
            axis.grid(visible=False, axis="y")
        axes[0].set_yticks(range(len(names)), [self.looks[name].label for name in names])
        drawn.supxlabel("seconds of training until there, a point a seed", fontsize=8)
        return drawn


def time_to_target(targets: pd.DataFrame, optimizers: Sequence[str]) -> TimeToTarget | None:
    """Return the figure of the frame of targets; None where it is empty or has no seconds."""
    known = targets[targets["seconds"].notna()]
    if not len(known):
        return None
    names = [name for name in optimizers if (known["optimizer"] == name).any()]
    by_target = {float(each): known[known["target"] == each] for each in known["target"].unique()}
    return TimeToTarget(
        {
            target: {name: tuple(of.loc[of["optimizer"] == name, "seconds"]) for name in names}
            for target, of in by_target.items()
        },
        looks(optimizers),
    )


@dataclass(frozen=True)
class Profile:
    """Steps (factor, share of targets and seeds reached within that factor of the fastest's time), by optimizer."""

    steps: Mapping[str, tuple[tuple[float, float], ...]]
    looks: Mapping[str, Look]

    @property
    def finding(self) -> str:
        """Who is the fastest most often, and who reaches most."""
        fastest = max(self.steps, key=lambda name: self.steps[name][0][1])
        most = max(self.steps, key=lambda name: self.steps[name][-1][1])
        return (
            f"{fastest} is the fastest to {self.steps[fastest][0][1]:.0%} of the targets and seeds; "
            f"{most} reaches the most of them at all, {self.steps[most][-1][1]:.0%}."
        )

    def draw(self, width: Width) -> Figure:
        """A line an optimizer; higher is better."""
        drawn = figure(width, 2.3)
        axis = drawn.subplots()
        end = 1.05 * max(factor for steps in self.steps.values() for factor, _ in steps)
        ends = {}
        for name, steps in self.steps.items():
            factors, shares = zip(*steps, (end, steps[-1][1]), strict=True)
            axis.step(factors, [100 * share for share in shares], where="post", color=self.looks[name].colour)
            axis.plot(factors[:1], [100 * shares[0]], self.looks[name].marker, color=self.looks[name].colour)
            ends[name] = (end, 100 * shares[-1])
        axis.set(xlim=(1 - 0.02 * (end - 1), end), ylim=(-3, 103))
        axis.set_xlabel("within this factor of the fastest's time")
        axis.set_ylabel("targets and seeds reached (%)")
        label_ends(drawn, axis, ends, self.looks)
        return drawn


def profile(targets: pd.DataFrame, optimizers: Sequence[str]) -> Profile | None:
    """Over the targets that any reached, on the seeds that all have; None for fewer than two optimizers."""
    known = targets[targets["seconds"].notna()]
    table = known.pivot_table(
        index=["target", "seed"], columns="optimizer", values="seconds", aggfunc="first"
    ).dropna()
    table = table[(table < math.inf).any(axis=1)]
    names = [name for name in optimizers if name in table.columns]
    if len(names) < 2 or not len(table):
        return None
    steps = performance_profile({name: table[name].tolist() for name in names})
    return Profile({name: tuple(each) for name, each in steps.items()}, looks(optimizers))
