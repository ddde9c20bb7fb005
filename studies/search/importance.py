"""Compute how important each searched dimension was: PED-ANOVA (Watanabe et al. 2023), as Optuna computes it."""

import math
import warnings

import optuna
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import TrialState

from studies.space import Space

BEST_SHARE = 0.1  # importance compares this best share of the trials with all trials
ENOUGH_BEST = 5  # the evaluator's documentation asks for at least this many best trials
FEWEST = 2 * ENOUGH_BEST  # with fewer trials the best five would be the majority


def importances(study: optuna.Study, space: Space) -> dict[str, float]:
    """Return each dimension's share (of 1) in how the best trials differ from all trials, by config key.

    Empty with too few trials, or if the best trials do not differ from the others.
    """
    # Only completed trials count: an accuracy after fewer epochs can't be compared with one at the end. So what it
    # takes to survive pruning is left out of the best trials and of all trials alike.
    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(completed) < FEWEST:
        return {}
    evaluator = PedAnovaImportanceEvaluator(target_quantile=max(BEST_SHARE, ENOUGH_BEST / len(completed)))
    with warnings.catch_warnings():
        # the evaluator warns of two harmless things: equal trials, and a dimension that only later trials have
        warnings.simplefilter("ignore")
        found = evaluator.evaluate(study)
    total = math.fsum(found.values())
    if total == 0:
        return {}
    return {key: found[each.parameter(key)] / total for key, each in space.items() if each.parameter(key) in found}
