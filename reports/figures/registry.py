"""List the figures of the report, one row each. The templates loop over them, section by section."""

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
    """One figure: the name of its files, its section of the page, its caption, and the function that computes it.

    `make` returns text if there is nothing to show: the name of the figure that is left out, and the reason in
    brackets; or an empty text if no reader would miss the figure. `below_table` places it below its section's table
    instead of above. `instead_of` names the figure that a reader can replace by this one.
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
        "Differences between optimizers: means, with simultaneous intervals.",
        differences,
    ),
    FigureRow("final-accuracy", "final-accuracy", "Test accuracy of every final.", final_accuracy),
    FigureRow(
        "luck", "final-accuracy", "Standard deviations of the sources of luck in a result.", luck, below_table=True
    ),
    FigureRow("reliability", "final-accuracy", "Finals that were lost or spoilt.", reliability, below_table=True),
    FigureRow(
        "convergence",
        "convergence",
        "The finals during training. Thin lines are seeds, thick lines are medians. The training loss is the mean "
        "over a window of steps.",
        convergence,
    ),
    FigureRow(
        "convergence-seconds",
        "convergence",
        "The finals during training, against seconds. Thin lines are seeds, thick lines are medians.",
        convergence_in_seconds,
        instead_of="convergence",
    ),
    FigureRow(
        "cost",
        "cost",
        "Accuracy against cost. Small markers are seeds, large markers are means; the dashed line joins the means "
        "that no other mean surpasses in both.",
        cost,
    ),
    FigureRow(
        "time-to-target",
        "cost",
        "Share of finals that have not yet reached a target accuracy.",
        time_to_target,
    ),
    FigureRow("epoch-seconds", "cost", "Training seconds of every epoch of the finals.", epoch_seconds),
    FigureRow(
        "performance-profile",
        "cost",
        "How often each optimizer is within a factor of the fastest, over all combinations of target and seed.",
        profile,
        below_table=True,
    ),
    FigureRow("tuning-gains", "tuning", "Test accuracy of published start and winner, on the same seeds.", gains),
    FigureRow(
        "learning-rates",
        "tuning",
        "Every trial by its learning rate. Shaded: the searched range; colour: epochs trained.",
        learning_rates,
        below_table=True,
    ),
    FigureRow("slices", "tuning", "Every trial by the other searched values. Colour: epochs trained.", others, True),
    FigureRow(
        "tuning-curves",
        "tuning",
        "What a part of the budget would have found: median and middle 80%, over random orders of the trials.",
        tuning_curves,
        below_table=True,
    ),
    FigureRow(
        "importances",
        "tuning",
        "How much of the difference between the best trials and all trials each hyperparameter explains (PED-ANOVA).",
        importances,
        below_table=True,
    ),
    FigureRow("outcomes", "tuning", "How the trials ended.", outcomes, below_table=True),
    FigureRow(
        "confusion",
        "mistakes",
        "Confusions on the test set, for the optimizer whose model is kept.",
        confusion,
    ),
    FigureRow(
        "mistakes",
        "mistakes",
        "The most confident mistakes of one final: ground truth → prediction and its probability.",
        gallery,
    ),
    FigureRow("classes", "mistakes", "Accuracy by class.", classes),
)
