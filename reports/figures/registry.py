"""The figures of the report, one row each. The templates loop over them, section by section."""

from collections.abc import Callable
from dataclasses import dataclass

from reports.computed import Computed
from reports.figures.convergence import convergence
from reports.figures.final_accuracy import final_accuracy
from reports.figures.importances import importance_shares
from reports.figures.mistakes import classes, confusion, gallery, without_pictures
from reports.figures.outcomes import outcomes
from reports.figures.style import Picture
from reports.figures.time import epoch_seconds, profile, time_to_target
from reports.figures.trials import learning_rates, slices
from reports.figures.tuning_curves import tuning_curves


def _nothing(_: Computed) -> str:
    return ""


def _too_few_trials(_: Computed) -> str:
    return "No importances of hyperparameters: fewer than ten completed trials of a study say nothing of them."


@dataclass(frozen=True)
class FigureRow:
    """One figure: the name of its files, the section of the page that it is in, and its caption.

    `data` computes it, as a typed record that says its finding and draws itself; None where there is nothing to show,
    of which `instead` says why. It stands above its section's table, or below it.
    """

    name: str
    section: str
    caption: str
    data: Callable[[Computed], Picture | None]
    instead: Callable[[Computed], str] = _nothing
    below_table: bool = False


FIGURES = (
    FigureRow(
        name="final-accuracy",
        section="final-accuracy",
        caption="Test accuracy of every final.",
        data=lambda of: final_accuracy(
            of.summary, of.finals, of.optimizers, of.source.definition.base.dataset, of.against.majority
        ),
    ),
    FigureRow(
        name="convergence",
        section="convergence",
        caption="The finals as they train: median, and a band from the lowest to the highest seed.",
        data=lambda of: convergence(of.courses, of.split, of.optimizers, of.seconds),
    ),
    FigureRow(
        name="epoch-seconds",
        section="training-time",
        caption="Training seconds of an epoch, of the finals that trained alone.",
        data=lambda of: epoch_seconds(of.runs, of.epochs, of.optimizers),
    ),
    FigureRow(
        name="time-to-target",
        section="training-time",
        caption="Training seconds until each validation accuracy, at the pace of finals that trained alone.",
        data=lambda of: time_to_target(of.targets, of.optimizers),
    ),
    FigureRow(
        name="performance-profile",
        section="training-time",
        caption="How often each optimizer is within a factor of the fastest, over targets and seeds.",
        data=lambda of: profile(of.targets, of.optimizers),
        below_table=True,
    ),
    FigureRow(
        name="tuning-curves",
        section="tuning",
        caption="What a part of the budget would have found: median and middle 80% over orders of the trials.",
        data=lambda of: tuning_curves(of.runs, of.optimizers),
    ),
    FigureRow(
        name="learning-rates",
        section="tuning",
        caption="Every trial by its learning rate; hollow: not completed, an arrow: too bad for the scale.",
        data=lambda of: learning_rates(of.runs, of.settings, of.winners, of.source.definition),
    ),
    FigureRow(
        name="slices",
        section="tuning",
        caption="Every trial by what else was searched; hollow: not completed, an arrow: too bad for the scale.",
        data=lambda of: slices(of.runs, of.settings, of.source.definition),
    ),
    FigureRow(
        name="importances",
        section="tuning",
        caption="How much of the trials' differences each hyperparameter explains (PED-ANOVA).",
        data=lambda of: importance_shares(of.source.importances, of.optimizers),
        instead=_too_few_trials,
    ),
    FigureRow(
        name="outcomes",
        section="tuning",
        caption="How the trials ended.",
        data=lambda of: outcomes(of.summary, of.optimizers),
    ),
    FigureRow(
        name="confusion",
        section="mistakes",
        caption="Confusions on the test set of the optimizer with the highest mean, all seeds together.",
        data=lambda of: confusion(of.mistakes),
    ),
    FigureRow(
        name="mistakes",
        section="mistakes",
        caption="Its most confident mistakes: ground truth → prediction and its probability.",
        data=lambda of: gallery(of.mistakes),
        instead=lambda of: without_pictures(of.mistakes),
    ),
    FigureRow(
        name="classes",
        section="mistakes",
        caption="Accuracy by class.",
        data=lambda of: classes(of.tables["classes"], of.optimizers, of.mistakes),
    ),
)
