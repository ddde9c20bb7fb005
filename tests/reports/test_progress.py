"""How far a sweep is can be told at any moment, from MLflow alone."""

from harness.records import METRIC_NAMES
from harness.tracking.tracker import TrackedRun
from reports.status import sweep_progress

DEFINITION = {"optimizers": ["sgd", "adam"], "budget": 6, "trial_epochs": 2, "final_seeds": [1, 2], "final_epochs": 2}
DEFINITION |= {"subset": True, "space": {}, "spaces": {"sgd": {"optimizer.lr": {"kind": "choice", "from_trials": 1}}}}


def run(optimizer, stage, number, accuracies, outcome=None, params=None):
    history = {METRIC_NAMES["train_loss"]: dict.fromkeys(range(1, len(accuracies) + 1), 0.5)}
    history[METRIC_NAMES["validation_accuracy"]] = dict(enumerate(accuracies, 1))
    tags = {"harness.optimizer": optimizer, "harness.stage": stage, "harness.number": str(number)}
    tags |= {"harness.outcome": outcome} if outcome else {}
    status = "FINISHED" if outcome else "RUNNING"
    return TrackedRun(
        f"{optimizer}-{stage}-{number}-{params}", "tiny", "", status, tags, params or {}, history
    )  # params may come a moment after


def sweep(status="RUNNING", **tags):
    return TrackedRun("id", "tiny", "tiny", status, tags, {}, {})


def test_budgets_best_and_what_runs():
    children = [
        run("sgd", "trial", 0, [0.5, 0.8], "completed"),
        run("sgd", "trial", 1, [0.9], "pruned"),
        run("sgd", "trial", 2, [], "diverged"),
        run("sgd", "trial", 3, [0.7]),
        run("sgd", "final", 1, [0.7, 0.8], "completed"),
    ]
    progress = sweep_progress(sweep(), children, DEFINITION)
    assert (progress.outcome, progress.epochs_done, progress.total_epochs) == ("running", 6, 20)
    assert progress.subset
    sgd, adam = progress.studies
    assert (sgd.epochs_spent, sgd.budget, sgd.best, sgd.finals) == (5, 6, 0.8, 1)
    assert sgd.running == ("trial 3, epoch 2/2",)
    assert (adam.epochs_spent, adam.best, adam.running) == (0, None, ())


def test_a_sweep_that_goes_on_is_running_whatever_it_was_before():
    killed = {"harness.outcome": "killed"}
    assert sweep_progress(sweep("KILLED", **killed), [], DEFINITION).outcome == "killed"
    assert sweep_progress(sweep("RUNNING", **killed), [], DEFINITION).outcome == "running"


def test_the_finals_of_a_replaced_winner_do_not_count():
    winner, replaced = {"optimizer.lr": "0.1"}, {"optimizer.lr": "0.2"}
    children = [
        run("sgd", "trial", 0, [0.5, 0.8], "completed", winner),
        *(run("sgd", "final", seed, [0.7, 0.8], "completed", replaced) for seed in (1, 2)),
        run("sgd", "final", 1, [0.7, 0.8], "completed", winner),
    ]
    progress = sweep_progress(sweep(), children, DEFINITION)
    assert (progress.studies[0].finals, progress.studies[0].final_seeds, progress.epochs_done) == (1, 2, 4)
