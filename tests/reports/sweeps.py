"""A small sweep as MLflow would return it, for tests of tables, figures and pages."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from harness.config import OPTIMIZER_CONFIGS, DatasetConfig, RunConfig, config_hash, with_settings
from harness.records import METRIC_NAMES, Mistake, Mistakes, Tag
from harness.tracking.tracker import TrackedRun
from reports.source import Source
from studies.definition import SweepDefinition
from studies.requirements import SEEDS_APART
from studies.space import Choice, Range

DEFINITION = SweepDefinition(
    base=RunConfig(dataset=DatasetConfig(train_size=640, validation_size=160), threads=1),
    optimizers=("sgd", "adam"),
    budget=2,
    trial_epochs=1,
    final_epochs=2,
    final_seeds=(1, 2),
    subset=True,
    spaces={
        name: {
            "optimizer.lr": Range(low=0.01, high=high, log=True),
            "optimizer.eps": Range(low=1e-9, high=1e-7, from_trials=26),
        }
        for name, high in (("sgd", 1.0), ("adam", 0.11))
    },
    space={"batch_size": Choice(choices=(32, 64))},
)


def run(optimizer: str, stage: str, seed: int, accuracies: list[float], outcome: str = "completed") -> TrackedRun:
    measured = {name: dict.fromkeys(range(1, len(accuracies) + 1), 0.5) for name in METRIC_NAMES.values()}
    measured["validation/accuracy"] = dict(enumerate(accuracies, 1))
    measured["test/accuracy"] = dict(enumerate(accuracies, 1)) if stage == "final" else {}
    tags = {"harness.optimizer": optimizer, "harness.stage": stage, "harness.seed": str(seed)}
    tags |= {"harness.number": str(seed)}
    return TrackedRun(
        run_id=f"{optimizer}-{stage}-{seed}",
        experiment="tiny",
        name=optimizer,
        status="FINISHED",
        tags=tags | {"harness.outcome": outcome},
        params={"optimizer.lr": "0.1", "batch_size": "32"},
        history=measured,
    )


def sweep(**tags: str) -> TrackedRun:
    tags = {"harness.definition_hash": "d", "harness.data_digest": "e", "harness.outcome": "completed"} | tags
    return TrackedRun("id", "<script>alert(1)</script>", "tiny", "FINISHED", tags, {}, {})


CHILDREN = [
    run("sgd", "trial", 0, [0.8]),
    run("adam", "trial", 0, [0.9], "diverged"),
    run("adam", "trial", 1, [0.7]),
    *(run("sgd", "final", seed, [0.5, 0.90 + seed / 100]) for seed in (1, 2)),
    *(run("adam", "final", seed, [0.5, 0.95 + seed / 100]) for seed in (1, 2)),
]


def mistakes(wrong: int) -> Mistakes:
    """Return the mistakes on ten images per class: `wrong` threes predicted as fives, with falling confidence."""
    confusion = [[10 if row == column else 0 for column in range(10)] for row in range(10)]
    confusion[3][3], confusion[3][5] = 10 - wrong, wrong
    pixels = base64.b64encode(bytes(range(256)) * 3 + bytes(16)).decode()
    return Mistakes(
        class_names=tuple("0123456789"),
        confusion=confusion,
        most_confident=[
            Mistake(index=index, ground_truth=3, prediction=5, probability=0.9 - index / 100, pixels=pixels)
            for index in range(wrong)
        ],
    )


def wrong_by_name(run_id: str) -> Mistakes:
    """Return two mistakes for a final of Adam, and three for one of SGD."""
    return mistakes(2 if "adam" in run_id else 3)


def untested(label: int) -> Callable[[str], Mistakes]:
    """Return a function that removes the class `label` from the test images in the counts of mistakes."""

    def of(run_id: str) -> Mistakes:
        before = wrong_by_name(run_id)
        rows = [(0,) * 10 if row == label else counts for row, counts in enumerate(before.confusion)]
        return before.model_copy(update={"confusion": tuple(rows)})

    return of


def changed(**changes) -> SweepDefinition:
    """Return the small sweep's definition with these fields, without validation."""
    return DEFINITION.model_copy(update=changes)


def config(each: TrackedRun) -> RunConfig:
    """Return the config of a trial or final of the small sweep, from its tags and params."""
    name, final = each.tags[Tag.OPTIMIZER], each.tags[Tag.STAGE] == "final"
    named = {"optimizer.name": name} if name in OPTIMIZER_CONFIGS else {}
    settings = named | {key: json.loads(text) for key, text in each.params.items()}
    return with_settings(
        DEFINITION.base,
        settings | {"epochs": 2 if final else 1, "seed": int(each.tags[Tag.SEED]) if final else 0},
    )


def source(
    children=CHILDREN,
    definition=DEFINITION,
    of_mistakes: Callable[[str], Mistakes] = wrong_by_name,
    configs: Mapping[str, RunConfig] | None = None,
    **tags: str,
) -> Source:
    """Return the sweep with these runs, and with the mistakes of its finals by run id."""
    finals = [each.run_id for each in children if each.tags[Tag.STAGE] == "final"]
    configs = {each.run_id: config(each) for each in children} if configs is None else configs
    hashes = {run_id: {Tag.CONFIG_HASH: config_hash(each)} for run_id, each in configs.items()}
    return Source(
        sweep=sweep(**tags),
        runs=[replace(each, tags=each.tags | hashes[each.run_id]) for each in children],
        definition=definition,
        configs=configs,
        mistakes={run_id: of_mistakes(run_id) for run_id in finals},
        importances={"adam": {"optimizer.lr": 0.75, "batch_size": 0.25}},
        environment={"python": "3.11", "gpus": []},
    )


def replicated(
    means: Mapping[str, float], noise: float = 0.001, lost: int = 0, spoilt: int = 0, trials: int = 0
) -> Source:
    """Return a sweep of three replicates, each with two finals and two finals of the published start.

    Test accuracies of finals lie around the means (fractions); those of the start are .2 points lower. The first
    `lost` finals of the last optimizer diverge, and its last `spoilt` finals have an accuracy of 60%.
    """
    rng = np.random.default_rng(0)
    children = []
    *_, worst = means
    for name, mean in means.items():
        for index, (replicate, number) in enumerate((each, seed) for each in (1, 2, 3) for seed in (1, 2)):
            seed = number + SEEDS_APART * (replicate - 1)
            accuracy = mean + noise * rng.normal()
            if name == worst and index >= 6 - spoilt:
                accuracy = 0.6
            outcome = "diverged" if name == worst and index < lost else "completed"
            for stage, less in (("final", 0.0), ("start", 0.002)):
                each = run(name, stage, seed, [0.9, accuracy - less], outcome)
                each.history["test/accuracy"] = {1: 0.9, 2: accuracy - less}
                each.tags[Tag.REPLICATE] = str(replicate)
                children.append(each)
        for number in range(3 * trials):
            outcome = "pruned" if number % trials else "completed"
            each = run(name, "trial", number, [mean - 0.01 * rng.random()], outcome)
            each.tags[Tag.REPLICATE] = str(1 + number // trials)
            children.append(each)
    rates = {"optimizer.lr": Range(low=0.001, high=1.0, log=True)}
    definition = changed(
        optimizers=tuple(means), spaces=dict.fromkeys(means, rates), replicates=3, start_finals=True, margin=0.2
    )
    return source(children, definition)
