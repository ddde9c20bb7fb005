"""A sweep of any number of runs that nobody trained, written straight into the tables of an MLflow store."""

import base64
import contextlib
import math
import os
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from unittest import mock

import sqlalchemy
from mlflow.store.tracking.dbmodels import models
from mlflow.utils.file_utils import local_file_uri_to_path

from experiments import catalog
from harness.config import (
    DATASETS,
    RunConfig,
    canonical_json,
    config_hash,
    flatten,
    images_at,
    measured_steps,
    steps_per_epoch,
    window_ends,
)
from harness.provenance.record import provenance_tags
from harness.records import (
    CONFIG_ARTIFACT,
    DEFINITION_ARTIFACT,
    IMPORTANCES_ARTIFACT,
    MISTAKES_ARTIFACT,
    Divergence,
    EpochMetrics,
    MetricRow,
    Mistake,
    Mistakes,
    Outcome,
    Stage,
    Tag,
)
from harness.tracking.connection import connect
from harness.tracking.mlflow import STATUS, MlflowTracker
from harness.tracking.tracker import json_bytes
from harness.training.determinism import determinism
from studies.definition import SweepDefinition
from tests.memory_tracker import MemoryRun

NAME = "many"
FINAL_SEEDS = (1, 2, 3, 4, 5)
DIVERGES = 40  # one trial in so many
ROWS = 20_000  # written in one statement


def make_sweep(folder: Path, runs: int, epochs: int) -> str:
    """A sweep of five optimizers in `folder`/mlflow.db, with so many trials and finals together. Returns its id.

    Each optimizer has as many trials as another, five finals with their mistakes, and all but a few that diverged
    have so many epochs.
    """
    uri = f"sqlite:///{(folder / 'mlflow.db').as_posix()}"
    with contextlib.chdir(folder), mock.patch.dict(os.environ, MLFLOW_TRACKING_URI=uri):
        definition = many_trials(runs, epochs)
        tracker = MlflowTracker()
        sweep_id = start(tracker, definition)
        made = dict(children(definition, sweep_id))
        experiment = connect(uri).get_experiment_by_name(NAME)
        engine = sqlalchemy.create_engine(uri)
        with engine.begin() as connection:
            write(connection, made, experiment.experiment_id, experiment.artifact_location)
        write_files(made, experiment.artifact_location)
        engine.dispose()
        tracker.end_run(sweep_id, Outcome.COMPLETED)
    return sweep_id


def many_trials(runs: int, epochs: int) -> SweepDefinition:
    """The shipped sweep of five optimizers with so many trials and finals, all of so many epochs."""
    shipped = catalog.load_sweep("optimizers").sweep
    trials = runs // len(shipped.optimizers) - len(FINAL_SEEDS)
    changes = {"trial_epochs": epochs, "final_epochs": epochs, "final_seeds": FINAL_SEEDS, "budget": trials * epochs}
    return SweepDefinition.model_validate(shipped.model_dump() | changes | {"pruning": False})


def start(tracker: MlflowTracker, definition: SweepDefinition) -> str:
    """The sweep's own run, as a sweep begins it."""
    params = {key: value for key, value in flatten(definition).items() if key != "budget"}
    tags = {
        Tag.STAGE: Stage.SWEEP,
        Tag.SEQUENCE: "00000001",
        Tag.STORAGE: "file",
        Tag.DEFINITION_HASH: config_hash(definition),
        Tag.SUBSET: "false",
        Tag.DATA_DIGEST: "0" * 64,
        Tag.DEVICE: definition.base.device,
        Tag.THREADS: str(definition.base.threads),
    }
    sweep_id = tracker.start_run(NAME, NAME, params, tags | provenance_tags())
    tracker.log_artifact(sweep_id, DEFINITION_ARTIFACT, canonical_json(definition).encode())
    shares = {
        name: dict.fromkeys(definition.searched(name), 1 / len(definition.searched(name)))
        for name in definition.optimizers
    }
    tracker.log_artifact(sweep_id, IMPORTANCES_ARTIFACT, json_bytes(shares))
    return sweep_id


def children(definition: SweepDefinition, sweep_id: str) -> Iterator[tuple[str, MemoryRun]]:
    """The trials and finals of all optimizers, by id."""
    rng = random.Random(0)
    for optimizer in definition.optimizers:
        space, best = definition.searched(optimizer), (-math.inf, definition.base)
        for number in range(definition.trials):
            values = {key: each.value(each.at(rng.random())) for key, each in space.items()}
            config = definition.trial_config(optimizer, values)
            diverges = number % DIVERGES == DIVERGES - 1
            run = child(rng, sweep_id, Stage.TRIAL, optimizer, number, config, diverges)
            reached = -math.inf if diverges else run.history[config.epochs]["validation/accuracy"]
            best = max(best, (reached, config), key=lambda each: each[0])
            yield f"{rng.getrandbits(128):032x}", run
        for seed in definition.final_seeds:
            config = definition.final_config(best[1], seed)
            run = child(rng, sweep_id, Stage.FINAL, optimizer, seed, config, diverges=False)
            yield f"{rng.getrandbits(128):032x}", run


def child(
    rng: random.Random,
    sweep_id: str,
    stage: Stage,
    optimizer: str,
    number: int,
    config: RunConfig,
    diverges: bool,
) -> MemoryRun:
    """A trial or final that has ended, with what a sweep records of it."""
    which = f"trial {number}" if stage is Stage.TRIAL else f"final s{number}"
    label = f"{which} {optimizer} lr={config.optimizer.lr:.2g} bs={config.batch_size}"
    outcome = Outcome.DIVERGED if diverges else Outcome.COMPLETED
    tags = {
        Tag.STAGE: stage,
        Tag.SWEEP_ID: sweep_id,
        Tag.PARENT: sweep_id,
        Tag.OPTIMIZER: optimizer,
        Tag.NUMBER: str(number),
        Tag.SUBSET: "false",
        Tag.CONFIG_HASH: config_hash(config),
        Tag.STATE_HASH: "0" * 64,
        Tag.SEED: str(config.seed),
        Tag.DATA_DIGEST: "0" * 64,
        Tag.DEVICE: config.device,
        Tag.DETERMINISM: determinism(config.device),
        Tag.THREADS: str(config.threads),
        Tag.OUTCOME: outcome,
        "mlflow.runName": label,
    }
    run = MemoryRun(NAME, label, flatten(config), tags | provenance_tags(), outcome=outcome)
    run.artifacts[CONFIG_ARTIFACT] = canonical_json(config).encode()
    if stage is Stage.FINAL:
        run.artifacts[MISTAKES_ARTIFACT] = mistakes(rng).model_dump_json().encode()
    last = config.epochs // 2 if diverges else config.epochs
    if diverges:
        run.tags[Tag.DIVERGENCE] = Divergence(epoch=last + 1, step=0, split="train").model_dump_json()
    for epoch in range(1, last + 1):
        run.history[epoch] = metrics(rng, stage, config, epoch).as_metrics()
        run.rows.extend(trajectory(rng, config, epoch, run.history[epoch]))
    run.tags[Tag.IMAGES] = str(last * config.dataset.train_size + diverges)
    return run


def trajectory(rng: random.Random, config: RunConfig, epoch: int, ended: dict[str, float]) -> Iterator[MetricRow]:
    """What is recorded within an epoch: about what it was at its end, with more noise."""
    before = (epoch - 1) * steps_per_epoch(config)
    for kind, steps in (
        ("train", window_ends(config)),
        ("validation", (*measured_steps(config, epoch), steps_per_epoch(config))),
    ):
        for step in steps:
            for what in ("loss", "accuracy"):
                value = abs(ended[f"{kind}/{what}"] + rng.gauss(0, 0.01))
                yield MetricRow(f"trajectory/{kind}_{what}", value, images_at(config, before + step))


def metrics(rng: random.Random, stage: Stage, config: RunConfig, epoch: int) -> EpochMetrics:
    """A learning curve with some noise, the better the nearer the learning rate is to 0.01."""
    distance = abs(math.log10(config.optimizer.lr) + 2)

    def accuracy() -> float:
        return round(max(0.1, 0.99 - 0.02 * distance - 0.05 / epoch + rng.gauss(0, 0.001)), 4)

    losses = {
        f"{split}_loss": rng.gauss(0.05 + 0.02 * distance + 0.1 / epoch, 0.001) for split in ("train", "validation")
    }
    accuracies = {f"{split}_accuracy": accuracy() for split in ("train", "validation")}
    if stage is Stage.FINAL:
        losses["test_loss"], accuracies["test_accuracy"] = rng.gauss(0.05, 0.001), accuracy()
    seconds = rng.gauss(5, 0.2)
    return EpochMetrics(
        epoch=epoch,
        train_seconds=seconds,
        evaluate_seconds=seconds / 10,
        images_per_second=config.dataset.train_size / seconds,
        **losses,
        **accuracies,
    )


def mistakes(rng: random.Random) -> Mistakes:
    """What a model of 98.5% gets wrong, on images of noise."""
    surest = tuple(
        Mistake(
            index=index,
            ground_truth=index % 10,
            prediction=(index + 1) % 10,
            probability=1 - index / 100,
            pixels=base64.b64encode(rng.randbytes(784)).decode(),
        )
        for index in range(20)
    )
    confusion = tuple(tuple(985 if row == column else rng.randrange(3) for column in range(10)) for row in range(10))
    return Mistakes(class_names=DATASETS["mnist"].class_names, confusion=confusion, most_confident=surest)


def write(
    connection: sqlalchemy.Connection, runs: dict[str, MemoryRun], experiment: str, artifact_location: str
) -> None:
    """The rows of these runs, as MLflow itself would have written them."""

    def insert(table: type, rows: Iterable[dict[str, object]]) -> None:
        held = list(rows)
        for begin in range(0, len(held), ROWS):
            connection.execute(sqlalchemy.insert(table), held[begin : begin + ROWS])

    insert(models.SqlRun, (row(run_id, run, experiment, artifact_location) for run_id, run in runs.items()))
    for table, texts in ((models.SqlTag, "tags"), (models.SqlParam, "params")):
        insert(
            table,
            (
                {"run_uuid": run_id, "key": key, "value": str(value)}
                for run_id, run in runs.items()
                for key, value in getattr(run, texts).items()
            ),
        )
    insert(
        models.SqlMetric,
        (
            point(run_id, run, name, step)
            for run_id, run in runs.items()
            for step in run.history
            for name in run.history[step]
        ),
    )
    insert(models.SqlMetric, (as_point(run_id, each) for run_id, run in runs.items() for each in run.rows))
    insert(
        models.SqlLatestMetric,
        (
            point(run_id, run, name, max(run.history))
            for run_id, run in runs.items()
            if run.history
            for name in run.history[max(run.history)]
        ),
    )
    last_rows = ({each.name: each for each in run.rows} for run in runs.values())
    insert(
        models.SqlLatestMetric,
        (as_point(run_id, each) for run_id, of in zip(runs, last_rows, strict=True) for each in of.values()),
    )


def write_files(runs: dict[str, MemoryRun], artifact_location: str) -> None:
    """Their artifacts, as MLflow would have copied them."""
    for run_id, run in runs.items():
        folder = Path(local_file_uri_to_path(artifact_location)) / run_id / "artifacts"
        folder.mkdir(parents=True)
        for name, content in run.artifacts.items():
            (folder / name).write_bytes(content)


def row(run_id: str, run: MemoryRun, experiment: str, artifact_location: str) -> dict[str, object]:
    return {
        "run_uuid": run_id,
        "name": run.name,
        "source_type": "UNKNOWN",
        "source_name": "",
        "source_version": "",
        "entry_point_name": "",
        "user_id": "unknown",
        "status": STATUS[run.outcome],
        "start_time": 0,
        "end_time": 1,
        "lifecycle_stage": "active",
        "artifact_uri": f"{artifact_location}/{run_id}/artifacts",
        "experiment_id": int(experiment),
    }


def point(run_id: str, run: MemoryRun, name: str, step: int) -> dict[str, object]:
    return as_point(run_id, MetricRow(name, run.history[step][name], step))


def as_point(run_id: str, of: MetricRow) -> dict[str, object]:
    values = {"key": of.name, "value": of.value, "timestamp": of.step, "step": of.step, "is_nan": False}
    return {"run_uuid": run_id} | values
