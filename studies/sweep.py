"""The sweep: equal budgets for several optimizers, then finals. Owns Optuna and MLflow; workers train."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from harness.config import OPTIMIZER_CONFIGS, FrozenModel, RunConfig, canonical_json, config_hash
from harness.data import load_splits
from harness.errors import unknown
from harness.records import DEFINITION_ARTIFACT, EpochMetrics, Outcome, Stage, Tag
from harness.run import close_broken_run, close_run, git_tags, log_provenance, open_run
from harness.state import RunState
from harness.tracking import WORK_FOLDER, Tracker
from harness.training import EvaluationSplit
from studies.executors import SliceResult, train_slice
from studies.search import Search, open_storage
from studies.space import Space, trial_config


class SweepDefinition(FrozenModel):
    """What a sweep does. Budgets are in epochs, the same for every optimizer."""

    base: RunConfig
    optimizers: Annotated[tuple[str, ...], Field(min_length=1)]
    space: Space
    spaces: dict[str, Space]
    trials: Annotated[int, Field(ge=1)]
    trial_epochs: Annotated[int, Field(ge=1)]
    final_seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    final_epochs: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)] = 0
    subset: bool = False

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        for optimizer in self.optimizers:
            if optimizer not in OPTIMIZER_CONFIGS:
                raise unknown("optimizer", optimizer, OPTIMIZER_CONFIGS, "correct the sweep's definition")
        if self.base.seed in self.final_seeds:
            raise ValueError(f"final_seeds hold the tuning seed {self.base.seed}; fresh seeds are allowed")
        if self.base.dataset.validation_size == 0:
            raise ValueError("base.dataset.validation_size is 0; validation selects, so 1 or more is allowed")
        return self

    @property
    def total_epochs(self) -> int:
        """Epochs of all trials and finals."""
        finals = len(self.final_seeds) * self.final_epochs
        return len(self.optimizers) * (self.trials * self.trial_epochs + finals)


class OptimizerResult(FrozenModel):
    """One optimizer's part of a sweep. Accuracies are fractions; `finals` are test accuracies in seed order."""

    trials: int
    epochs_spent: int
    best: dict[str, Any] | None
    best_validation_accuracy: float | None
    finals: tuple[float, ...]
    mean: float | None


class SweepResult(FrozenModel):
    """What a sweep found."""

    sweep_id: str
    optimizers: dict[str, OptimizerResult]


@dataclass
class Job:
    """A trial or final under way: its config, its MLflow run and how far it is."""

    stage: Stage
    optimizer: str
    number: int
    config: RunConfig
    run_id: str
    state: bytes | None = None
    epochs: list[EpochMetrics] = field(default_factory=list)
    ended: Outcome | None = None

    @property
    def splits(self) -> tuple[EvaluationSplit, ...]:
        """A trial never sees the test set."""
        return ("validation",) if self.stage is Stage.TRIAL else ("validation", "test")


OnEpoch = Callable[[Job, EpochMetrics], None]


def run_sweep(
    name: str,
    definition: SweepDefinition,
    tracker: Tracker,
    executor: Executor,
    workers: int,
    data_dir: Path | None = None,
    on_epoch: OnEpoch = lambda _job, _metrics: None,
) -> SweepResult:
    """Search every optimizer under the same budget, then rerun each winner on the fresh seeds."""
    digest = load_splits(definition.base.dataset, definition.base.device, data_dir).digest
    tags = {
        Tag.STAGE: Stage.SWEEP,
        Tag.DEFINITION_HASH: config_hash(definition),
        Tag.SUBSET: str(definition.subset).lower(),
        Tag.DATA_DIGEST: digest,
    }
    params = {"trials": definition.trials, "trial_epochs": definition.trial_epochs, "seed": definition.seed}
    sweep_id = tracker.start_run(name, name, params, tags | git_tags())
    running: dict[Future[SliceResult], Job] = {}

    def start(stage: Stage, optimizer: str, number: int, config: RunConfig) -> Job:
        label = f"{optimizer} {'#' if stage is Stage.TRIAL else 'seed '}{number} lr={config.optimizer.lr:.2g}"
        tags = {
            Tag.STAGE: stage,
            Tag.SWEEP_ID: sweep_id,
            Tag.PARENT: sweep_id,
            Tag.TRIAL: str(number),
            Tag.SUBSET: str(definition.subset).lower(),
        }
        run_id = open_run(config, tracker, name, label, tags, digest)
        return Job(stage, optimizer, number, config, run_id)

    def run_all(jobs: Callable[[], Job | None]) -> Iterator[Job]:
        """Keep `workers` slices in flight; yield each job as it ends. `jobs` gives the next one that may start."""
        while True:
            while len(running) < workers and (job := jobs()) is not None:
                running[executor.submit(train_slice, job.config, job.state, job.splits, data_dir)] = job
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running[future]
                job.state, metrics, divergence = future.result()
                del running[future]
                for each in metrics:
                    tracker.log_epoch(job.run_id, each)
                    job.epochs.append(each)
                    on_epoch(job, each)
                if divergence is None and len(job.epochs) < job.config.epochs:
                    running[executor.submit(train_slice, job.config, job.state, job.splits, data_dir)] = job
                else:
                    job.ended = close_run(tracker, job.run_id, RunState.from_bytes(job.state), divergence)
                    yield job

    try:
        tracker.log_artifact(sweep_id, DEFINITION_ARTIFACT, canonical_json(definition).encode())
        log_provenance(tracker, sweep_id)
        searches = _open_searches(sweep_id, definition)
        asked = dict.fromkeys(definition.optimizers, 0)
        idle = deque(definition.optimizers)

        def next_trial() -> Job | None:
            if not idle:
                return None
            optimizer = idle.popleft()
            number, values = searches[optimizer].ask()
            asked[optimizer] += 1
            config = trial_config(definition.base, optimizer, values, definition.trial_epochs, definition.base.seed)
            return start(Stage.TRIAL, optimizer, number, config)

        spent = dict.fromkeys(definition.optimizers, 0)
        for job in run_all(next_trial):
            accuracy = job.epochs[-1].validation_accuracy if job.ended is Outcome.COMPLETED else None
            searches[job.optimizer].tell(job.number, accuracy)
            spent[job.optimizer] += definition.trial_epochs
            if asked[job.optimizer] < definition.trials:
                idle.append(job.optimizer)

        winners = {optimizer: search.best for optimizer, search in searches.items()}
        queue = deque(
            (optimizer, seed)
            for seed in definition.final_seeds
            for optimizer in definition.optimizers
            if winners[optimizer] is not None
        )

        def next_final() -> Job | None:
            if not queue:
                return None
            optimizer, seed = queue.popleft()
            winner = winners[optimizer]
            assert winner is not None
            config = trial_config(definition.base, optimizer, winner[0], definition.final_epochs, seed)
            return start(Stage.FINAL, optimizer, seed, config)

        finals: dict[str, dict[int, float]] = {optimizer: {} for optimizer in definition.optimizers}
        for job in run_all(next_final):
            if job.ended is Outcome.COMPLETED and job.epochs[-1].test_accuracy is not None:
                finals[job.optimizer][job.number] = job.epochs[-1].test_accuracy
        tracker.end_run(sweep_id, Outcome.COMPLETED)
    except BaseException as error:
        for job in running.values():
            close_broken_run(tracker, job.run_id, error)
        close_broken_run(tracker, sweep_id, error)
        executor.shutdown(wait=False, cancel_futures=True)
        raise

    def result(optimizer: str) -> OptimizerResult:
        winner = winners[optimizer]
        accuracies = tuple(finals[optimizer][seed] for seed in sorted(finals[optimizer]))
        return OptimizerResult(
            trials=asked[optimizer],
            epochs_spent=spent[optimizer],
            best=winner[0] if winner else None,
            best_validation_accuracy=winner[1] if winner else None,
            finals=accuracies,
            mean=mean(accuracies) if accuracies else None,
        )

    return SweepResult(sweep_id=sweep_id, optimizers={name: result(name) for name in definition.optimizers})


def _open_searches(sweep_id: str, definition: SweepDefinition) -> dict[str, Search]:
    folder = WORK_FOLDER / "sweeps" / sweep_id
    folder.mkdir(parents=True, exist_ok=True)
    storage = open_storage(folder / "optuna.journal")
    return {
        optimizer: Search(storage, optimizer, definition.spaces[optimizer] | definition.space, definition.seed)
        for optimizer in definition.optimizers
    }
