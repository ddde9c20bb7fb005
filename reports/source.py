"""Read the source of a report from MLflow: a sweep with its trials and finals, or a single run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.config import RunConfig, config_hash, flatten, recorded, unflatten
from harness.records import (
    CONFIG_ARTIFACT,
    ENVIRONMENT_ARTIFACT,
    IMPORTANCES_ARTIFACT,
    MISTAKES_ARTIFACT,
    Mistakes,
    Outcome,
    Stage,
    Tag,
)
from harness.tracking.files import is_here, read_artifacts_here
from harness.tracking.read import (
    find_artifact,
    latest_sweep,
    read_artifact,
    read_definition,
    read_sweep,
    read_tracked_run,
)
from harness.tracking.tracker import TrackedRun
from reports.tables import outcome_of
from studies.definition import SweepDefinition


@dataclass(frozen=True)
class Source:
    """A sweep, or a single run, as stored in MLflow. Whatever was not recorded is missing.

    `configs` are by run id, `mistakes` of completed finals by run id, `importances` by optimizer and config key, and
    `environment` is that of the process that began the sweep. `single`: the source is a run that belongs to no sweep,
    treated as the only final of a sweep without trials.
    """

    sweep: TrackedRun
    runs: Sequence[TrackedRun]
    definition: SweepDefinition
    configs: Mapping[str, RunConfig]
    mistakes: Mapping[str, Mistakes]
    importances: Mapping[str, Mapping[str, float]]
    environment: Mapping[str, Any]
    single: bool = False


def read_source(run_id: str | None = None) -> Source:
    """Return the source of the sweep or single run with that id; by default of the latest sweep.

    Raises:
        BadInputError: the id is unknown, or the run is part of a sweep.
    """
    run_id = run_id or latest_sweep()
    run = read_tracked_run(run_id)
    if run.tags.get(Tag.STAGE) == Stage.RUN:
        return _single(run)
    sweep, runs = read_sweep(run_id)
    finals = [each.run_id for each in runs if each.tags[Tag.STAGE] == Stage.FINAL and _completed(each)]
    return Source(
        sweep=sweep,
        runs=runs,
        definition=read_sweep_definition(run_id),
        configs=read_configs(runs),
        mistakes=_mistakes(finals),
        importances=_json(run_id, IMPORTANCES_ARTIFACT),
        environment=_json(run_id, ENVIRONMENT_ARTIFACT),
    )


def read_sweep_definition(sweep_id: str) -> SweepDefinition:
    """Return the definition of a sweep.

    Raises:
        BadInputError: the sweep does not exist.
    """
    return recorded(SweepDefinition, read_definition(sweep_id))


def read_configs(runs: Sequence[TrackedRun]) -> dict[str, RunConfig]:
    """Return the configs of these runs by run id, without runs that have none.

    A server needs several requests for each file, which for thousands of runs takes minutes. If the files are not on
    this machine, a config is therefore rebuilt from the run's params, and used if its hash is the recorded one.
    """
    contents = read_artifacts_here(runs, CONFIG_ARTIFACT)
    found = {run_id: _config(content) for run_id, content in contents.items()}
    for run in runs:
        if not is_here(run):
            of_params = recorded(RunConfig, unflatten(run.params))
            if config_hash(of_params) == run.tags.get(Tag.CONFIG_HASH):
                found[run.run_id] = of_params
            elif content := find_artifact(run.run_id, CONFIG_ARTIFACT):
                found[run.run_id] = _config(content)
    return found


def _config(content: bytes) -> RunConfig:
    return recorded(RunConfig, json.loads(content))


def _single(run: TrackedRun) -> Source:
    config = _config(read_artifact(run.run_id, CONFIG_ARTIFACT))
    tags = run.tags | {Tag.STAGE: Stage.FINAL, Tag.NUMBER: str(config.seed)}
    params = run.params or {key: str(value) for key, value in flatten(config).items()}
    without_trials = SweepDefinition.model_construct(  # not validated: a budget of 0 is not valid
        base=config,
        optimizers=(config.optimizer.name,),
        space={},
        spaces={},
        budget=0,
        trial_epochs=config.epochs,
        final_seeds=(config.seed,),
        final_epochs=config.epochs,
    )
    return Source(
        sweep=run,
        runs=[replace(run, tags=tags, params=params)],
        definition=without_trials,
        configs={run.run_id: config},
        mistakes=_mistakes([run.run_id] if _completed(run) else []),
        importances={},
        environment=_json(run.run_id, ENVIRONMENT_ARTIFACT),
        single=True,
    )


def _completed(run: TrackedRun) -> bool:
    return outcome_of(run) == Outcome.COMPLETED


def _mistakes(run_ids: Sequence[str]) -> dict[str, Mistakes]:
    found = {run_id: find_artifact(run_id, MISTAKES_ARTIFACT) for run_id in run_ids}
    read = {run_id: Mistakes.model_validate_json(content) for run_id, content in found.items() if content is not None}
    return {run_id: each for run_id, each in read.items() if _is_counted(each)}


def _is_counted(mistakes: Mistakes) -> bool:
    """Return whether each prediction has a class name; old versions miscounted models with more outputs."""
    return all(each.prediction < len(mistakes.class_names) for each in mistakes.most_confident)


def _json(run_id: str, name: str) -> dict[str, Any]:
    content = find_artifact(run_id, name)
    values: dict[str, Any] = {} if content is None else json.loads(content)
    return values
