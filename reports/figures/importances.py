"""Importances: how much of an optimizer's accuracy each hyperparameter explains."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from harness.colours import COLOURS
from reports.figures.style import Look, Width, figure, looks, tinted


@dataclass(frozen=True)
class Importances:
    """The share (0 to 1) of each searched hyperparameter in how much an optimizer's accuracy varies, by PED-ANOVA."""

    shares: Mapping[str, Mapping[str, float]]
    looks: Mapping[str, Look]

    @property
    def finding(self) -> str:
        """The most important one of each."""
        most = {name: max(shares, key=shares.__getitem__) for name, shares in self.shares.items()}
        found = ", ".join(f"{key} for {name} ({self.shares[name][key]:.0%})" for name, key in most.items())
        return f"What matters most: {found}."

    def draw(self, width: Width) -> Figure:
        """A row an optimizer, a column a hyperparameter."""
        keys = list(dict.fromkeys(key for shares in self.shares.values() for key in shares))
        table = np.array([[shares.get(key, math.nan) for key in keys] for shares in self.shares.values()])
        upright = len(keys) > (4 if width == "column" else 9)  # or their names would overlap
        drawn = figure(width, (1.6 if upright else 0.9) + 0.24 * len(self.shares))
        axis = drawn.subplots()
        axis.imshow(tinted(np.nan_to_num(table), COLOURS[0]), aspect="auto")
        for row, column in np.argwhere(np.isfinite(table)):
            axis.text(column, row, f"{table[row, column]:.0%}", ha="center", va="center")
        names = keys if upright else [key.replace(".", ".\n", 1) for key in keys]
        axis.set_xticks(range(len(keys)), names, fontsize=7, rotation=90 if upright else 0)
        axis.set_yticks(range(len(self.shares)), [self.looks[name].label for name in self.shares])
        axis.grid(visible=False)
        return drawn


def importance_shares(shares: Mapping[str, Mapping[str, float]], optimizers: Sequence[str]) -> Importances | None:
    """Return the figure of what the sweep recorded; None where too few trials completed to say."""
    return Importances(shares, looks(optimizers)) if shares else None
