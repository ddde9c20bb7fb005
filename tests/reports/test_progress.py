"""The progress of a sweep can be read at any moment from MLflow alone."""

from harness.config import RunConfig, config_hash, with_settings
from harness.records import METRIC_NAMES
from harness.tracking.tracker import TrackedRun
from reports.status import sweep_progress
from studies.definition import SweepDefinition
from studies.space import Choice

RATE = {"optimizer.lr": Choice(choices=(0.1, 0.2))}
DEFINITION = SweepDefinition(
    base=RunConfig(threads=1),
    optimizers=("sgd", "adam"),
    space={},
    spaces={"sgd": RATE},
    budget=6,
    trial_epochs=2,
    final_seeds=(1, 2),
    final_epochs=2,
    subset=True,
)


def config(optimizer, rate, seed=0):
    settings = {"optimizer.name": optimizer, "optimizer.lr": rate, "epochs": 2, "seed": seed}
    return with_settings(DEFINITION.base, settings)


def run(optimizer, stage, number, accuracies, outcome=None, rate=0.1):
    history = {METRIC_NAMES["train_loss"]: dict.fromkeys(range(1, len(accuracies) + 1), 0.5)}
    history[METRIC_NAMES["validation_accuracy"]] = dict(enumerate(accuracies, 1))
    tags = {"harness.optimizer": optimizer, "harness.stage": stage, "harness.number": str(number)}
    tags |= {"harness.config_hash": config_hash(config(optimizer, rate, number if stage == "final" else 0))}
    tags |= {"harness.outcome": outcome} if outcome else {}
    status = "FINISHED" if outcome else "RUNNING"
    return TrackedRun(f"{optimizer}-{stage}-{number}-{rate}", "tiny", "", status, tags, {}, history)


def config_of(run_id):
    optimizer, _, _, rate = run_id.split("-")
    return config(optimizer, float(rate))


def sweep(status="RUNNING", **tags):
    return TrackedRun("id", "tiny", "tiny", status, tags, {}, {})


def test_progress_has_budgets_best_accuracies_and_running_trials():
    children = [
        run("sgd", "trial", 0, [0.5, 0.8], "completed"),
        run("sgd", "trial", 1, [0.9], "pruned"),
        run("sgd", "trial", 2, [], "diverged"),
        run("sgd", "trial", 3, [0.7]),
        run("sgd", "final", 1, [0.7, 0.8], "completed"),
    ]
    progress = sweep_progress(sweep(), children, DEFINITION, config_of)
    assert (progress.outcome, progress.epochs_done, progress.total_epochs) == ("running", 6, 20)
    assert progress.subset
    sgd, adam = progress.studies
    assert (sgd.epochs_spent, sgd.budget, sgd.best, sgd.finals) == (5, 6, 0.8, 1)
    assert sgd.running == ("trial 3, epoch 1.0 of 2",)
    assert (adam.epochs_spent, adam.best, adam.running) == (0, None, ())


def test_a_resumed_sweep_is_running_after_any_outcome():
    killed = {"harness.outcome": "killed"}
    assert sweep_progress(sweep("KILLED", **killed), [], DEFINITION, config_of).outcome == "killed"
    assert sweep_progress(sweep("RUNNING", **killed), [], DEFINITION, config_of).outcome == "running"


def test_the_finals_of_a_replaced_winner_do_not_count():
    children = [
        run("sgd", "trial", 0, [0.5, 0.8], "completed"),
        *(run("sgd", "final", seed, [0.7, 0.8], "completed", rate=0.2) for seed in (1, 2)),
        run("sgd", "final", 1, [0.7, 0.8], "completed"),
    ]
    progress = sweep_progress(sweep(), children, DEFINITION, config_of)
    assert (progress.studies[0].finals, progress.studies[0].final_seeds, progress.epochs_done) == (1, 2, 4)
