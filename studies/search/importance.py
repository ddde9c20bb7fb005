"""How much each searched dimension mattered to a study: PED-ANOVA (Watanabe et al. 2023), as Optuna computes it."""

import math
import warnings

import optuna
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import TrialState

from studies.space import Space

BEST_SHARE = 0.1  # what it takes to be among so many of the trials is what importance means
ENOUGH_BEST = 5  # fewer say nothing by their distribution, by the evaluator's own documentation
FEWEST = 2 * ENOUGH_BEST  # of fewer trials the best five would be the most


def importances(study: optuna.Study, space: Space) -> dict[str, float]:
    """By config key, the share (of 1) that a dimension has in how the best trials differ from all.

    Empty where there are too few trials to say, or where nothing sets the best ones apart.
    """
    # Completed trials alone: those pruned were measured after fewer epochs, and an accuracy says nothing of which
    # trials are the best unless all had the same. What it takes to survive the pruning is so left out on both sides.
    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(completed) < FEWEST:
        return {}
    evaluator = PedAnovaImportanceEvaluator(target_quantile=max(BEST_SHARE, ENOUGH_BEST / len(completed)))
    with warnings.catch_warnings():
        # it warns of what is no error here: equal trials, and a dimension of few trials, added by a raised budget
        warnings.simplefilter("ignore")
        found = evaluator.evaluate(study)
    total = math.fsum(found.values())
    if total == 0:
        return {}
    return {key: found[each.parameter(key)] / total for key, each in space.items() if each.parameter(key) in found}
