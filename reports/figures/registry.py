"""The figures of the report, one row each. The templates loop over them, section by section."""

from collections.abc import Callable
from dataclasses import dataclass

from reports.computed import Computed
from reports.figures.convergence import convergence, convergence_in_seconds
from reports.figures.cost import cost
from reports.figures.differences import differences
from reports.figures.final_accuracy import final_accuracy
from reports.figures.luck import luck
from reports.figures.mistakes import classes, confusion, gallery
from reports.figures.reliability import reliability
from reports.figures.style import Picture
from reports.figures.time import epoch_seconds, profile, time_to_target
from reports.figures.trials import learning_rates, others
from reports.figures.tuning import gains, importances, outcomes, tuning_curves


@dataclass(frozen=True)
class FigureRow:
    """One figure: the name of its files, the section of the page that it is in, and its caption.

    `make` computes it. It returns text where there is nothing to show: what is left out, and why in brackets; empty
    where nobody would look for it. `below_table`: it stands below its section's table, not above it. `instead_of` is
    the figure in whose place a reader can have it.
    """

    name: str
    section: str
    caption: str
    make: Callable[[Computed], Picture | str]
    below_table: bool = False
    instead_of: str | None = None


FIGURES = (
    FigureRow(
        "differences",
        "answer",
        "Differences between optimizers: mean, and intervals that hold together in 19 of 20 such sweeps.",
        differences,
    ),
    FigureRow("final-accuracy", "final-accuracy", "Test accuracy of every final.", final_accuracy),
    FigureRow("luck", "final-accuracy", "Standard deviations of what is luck in a result.", luck, below_table=True),
    FigureRow("reliability", "final-accuracy", "Finals that were lost or spoilt.", reliability, below_table=True),
    FigureRow(
        "convergence",
        "convergence",
        "The finals as they train: thin a seed, thick the median. Training loss is the mean of a window of steps.",
        convergence,
    ),
    FigureRow(
        "convergence-seconds",
        "convergence",
        "The finals as they train, against training time: thin a seed, thick the median.",
        convergence_in_seconds,
        instead_of="convergence",
    ),
    FigureRow(
        "cost",
        "cost",
        "Accuracy against cost: small a seed, large the mean; dashed: the means that no other one surpasses in both.",
        cost,
    ),
    FigureRow(
        "time-to-target",
        "cost",
        "Finals that have not reached a validation accuracy yet. The targets are taken from tuning.",
        time_to_target,
    ),
    FigureRow("epoch-seconds", "cost", "Training seconds of every epoch of the finals.", epoch_seconds),
    FigureRow(
        "performance-profile",
        "cost",
        "How often each optimizer is within a factor of the fastest, over targets and seeds.",
        profile,
        below_table=True,
    ),
    FigureRow("tuning-gains", "tuning", "From the published start to the winner, on the same seeds.", gains),
    FigureRow(
        "learning-rates",
        "tuning",
        "Every trial by its learning rate; shaded: what was searched; colour: how far it was trained.",
        learning_rates,
        below_table=True,
    ),
    FigureRow(
        "slices", "tuning", "Every trial by what else was searched; colour: how far it was trained.", others, True
    ),
    FigureRow(
        "tuning-curves",
        "tuning",
        "What a part of the budget would have found: median and middle 80% over orders of the trials.",
        tuning_curves,
        below_table=True,
    ),
    FigureRow(
        "importances",
        "tuning",
        "How much of the trials' differences each hyperparameter explains (PED-ANOVA).",
        importances,
        below_table=True,
    ),
    FigureRow("outcomes", "tuning", "How the trials ended.", outcomes, below_table=True),
    FigureRow(
        "confusion",
        "mistakes",
        "Confusions on the test set of the optimizer whose model the sweep keeps: its finals validated best.",
        confusion,
    ),
    FigureRow(
        "mistakes",
        "mistakes",
        "Its most confident mistakes: ground truth → prediction and its probability.",
        gallery,
    ),
    FigureRow("classes", "mistakes", "Accuracy by class.", classes),
)
