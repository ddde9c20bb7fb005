"""Begin a sweep: check the user's own code, then resume the last sweep of that name or start a new one."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config import (
    AnyDatasetConfig,
    DatasetConfig,
    OwnModelConfig,
    canonical_json,
    config_hash,
    differences,
    flatten,
    validated,
)
from harness.errors import BadInputError, without_password
from harness.lock import only_one_begins
from harness.provenance.imported import imported_source
from harness.provenance.origin import (
    Origin,
    changed_source,
    load_present_splits,
    new_origin,
    present_origin,
    source_tags,
)
from harness.provenance.record import log_provenance, provenance_tags
from harness.provenance.source import own_names, short
from harness.records import DEFINITION_ARTIFACT, Outcome, Stage, Tag
from harness.tracking.tracker import FoundRun, Tracker
from harness.training.checks import require_sound
from harness.training.data import load_splits
from harness.training.determinism import require_threads
from harness.training.images import Splits
from harness.training.networks import gives_logits
from studies.definition import SweepDefinition
from studies.open_sweep import with_outputs
from studies.requirements import LEAST_UNITS
from studies.snapshot import sweep_folder
from studies.space import Choice

logger = logging.getLogger(__name__)
SIZES = ("train_size", "validation_size")  # the fields of a dataset that leave its images as they are
FILE = "file"  # the storage tag of a sweep whose Optuna studies are in a file, not in a database


@dataclass(frozen=True)
class Begun:
    """A sweep that begins or resumes.

    `definition` is what the sweep must do now. `found` is the recorded sweep that it resumes, None for a new sweep.
    `logits` names the user's own models whose output was found to be logits.
    """

    sweep_id: str
    definition: SweepDefinition
    found: FoundRun | None
    data: Splits
    origin: Origin
    logits: frozenset[str]

    @property
    def is_complete(self) -> bool:
        """Return whether the recorded sweep has completed with exactly this definition."""
        if self.found is None:
            return False
        tags = self.found.tags
        same = tags[Tag.DEFINITION_HASH] == config_hash(self.definition)
        return tags.get(Tag.OUTCOME) == Outcome.COMPLETED and same


def begin_sweep(
    name: str, definition: SweepDefinition, tracker: Tracker, data_dir: Path | None, storage: str | None, fresh: bool
) -> Begun:
    """Resume the last sweep of that name that began in this folder, or start a new sweep.

    Raises:
        BadInputError: the last sweep has not ended and has another definition, storage, dataset or source of the
            user's own code; or that code does not pass its checks.
    """
    source = imported_source(_names_of_own_parts(definition))
    data = load_present_splits(definition.base.dataset, "cpu", data_dir)
    require_threads(max(definition.values_of("threads")))
    _require_one_dataset(definition, data, data_dir)
    logits = _require_sound_parts(definition, data)
    kept_in = without_password(storage) if storage else FILE
    origin = present_origin(data, source)
    latest = tracker.latest_sequence()
    found, definition = (None, definition) if fresh else _find_sweep(name, definition, kept_in, tracker, origin)
    if found is not None:
        return Begun(found.run_id, definition, found, data, origin, logits)
    origin = new_origin(definition.base, data, source)
    with only_one_begins():
        if not fresh and tracker.latest_sequence() != latest:  # another process may have begun this sweep
            found, definition = _find_sweep(name, definition, kept_in, tracker, origin)
        sweep_id = found.run_id if found else _start_sweep(name, definition, kept_in, tracker, origin)
    return Begun(sweep_id, definition, found, data, origin, logits)


def _require_one_dataset(definition: SweepDefinition, data: Splits, data_dir: Path | None) -> None:
    """Check that all trials have the base's dataset, and that it has the images for the largest sizes of its parts.

    Raises:
        BadInputError: a variant fixes, or a study searches, another dataset or more images than there are.
    """
    base, checked = definition.base.dataset, set[str]()
    for optimizer in definition.optimizers:
        for dataset in _datasets(definition, optimizer):
            if (text := canonical_json(dataset)) in checked:
                continue
            checked.add(text)
            changed = [each for each in differences(base.model_dump(), dataset.model_dump()) if each[0] not in SIZES]
            if not changed and (dataset == base or isinstance(dataset, DatasetConfig)):
                continue  # it is loaded, or its config knows how many images there are
            if load_splits(dataset, "cpu", data_dir).digest != data.digest and changed:
                key, was, now = changed[0]
                raise BadInputError(
                    f"dataset.{key}",
                    now,
                    f"of {optimizer!r} gives other training or test images than {was!r} of the base",
                    expected="the same images for all that a sweep compares",
                    next_step="make a sweep for each of the two",
                )


def _datasets(definition: SweepDefinition, optimizer: str) -> Iterator[AnyDatasetConfig]:
    """Yield the dataset of a study's trials, with its largest sizes, and with each other value that is searched."""
    searched = {
        key: each for key, each in definition.searched(optimizer).items() if key.partition(".")[0] == "dataset"
    }
    largest = {
        key: max(map(each.value, each.extremes()))
        for key, each in searched.items()
        if key.removeprefix("dataset.") in SIZES
    }
    middle = {key: each.value(each.at(0.5)) for key, each in definition.searched(optimizer).items()}
    yield definition.trial_config(optimizer, middle | largest).dataset
    for key, each in searched.items():
        for value in each.extremes() if key not in largest else ():
            yield definition.trial_config(optimizer, middle | {key: each.value(value)}).dataset


def _require_sound_parts(definition: SweepDefinition, data: Splits) -> frozenset[str]:
    """Check the user's own code in every optimizer's trials; return the names of own models that output logits."""
    logits: frozenset[str] = frozenset()
    for optimizer in definition.optimizers:
        for example in definition.examples(optimizer):
            sound = require_sound(with_outputs(example, logits), data, definition.batch_sizes(optimizer)).model
            if isinstance(sound, OwnModelConfig) and gives_logits(sound):
                logits |= {sound.name}
    return logits


def _names_of_own_parts(definition: SweepDefinition) -> set[str]:
    """Return the names of the user's own code that the sweep can train, fixed in its configs or searched."""
    names = {name for optimizer in definition.optimizers for name in own_names(definition.example(optimizer))}
    for optimizer in definition.optimizers:
        for key, searched in definition.searched(optimizer).items():
            if key.endswith(".name") and isinstance(searched, Choice):
                names |= {str(name) for name in searched.choices if ":" in str(name)}
    return names


def _find_sweep(
    name: str, definition: SweepDefinition, kept_in: str, tracker: Tracker, origin: Origin
) -> tuple[FoundRun | None, SweepDefinition]:
    """Return the last sweep of that name in this folder if it can be resumed, and the definition to work on.

    Finished work is kept: the budget, the replicates, the final seeds and the looks can only grow.
    """
    for found in tracker.find_runs(name, {Tag.STAGE: Stage.SWEEP}):
        if not sweep_folder(found.run_id).exists():
            continue
        stored = json.loads(tracker.read_artifact(found.run_id, DEFINITION_ARTIFACT))
        # parsing gives fields that are younger than the sweep their default, which is off
        try:
            then = validated(SweepDefinition, stored)
        except BadInputError as error:  # the definition was valid when that sweep began
            if found.tags.get(Tag.OUTCOME) == Outcome.COMPLETED:
                return None, definition
            raise BadInputError(
                "sweep",
                found.run_id,
                f"of {name!r} has not ended, and its own definition is no longer valid ({error.without_next_step})",
                next_step="use `fresh` to start a new sweep",
            ) from None
        changed = _changed_definition(then, definition, found.tags[Tag.STORAGE], kept_in)
        other = "" if changed else _other_origin(found, definition, tracker, origin)
        if not changed and not other:
            finals = tracker.find_runs(name, {Tag.SWEEP_ID: found.run_id, Tag.STAGE: Stage.FINAL})
            return found, grown(then, definition, measured=bool(finals))
        if found.tags.get(Tag.OUTCOME) == Outcome.COMPLETED:
            if other:
                logger.warning("harness: sweep %r ended with another %s; a new sweep begins", found.run_id, other)
            return None, definition
        raise BadInputError(
            "sweep",
            found.run_id,
            f"of {name!r} has not ended, and {f'its {changed}' if changed else f'began with another {other}'}",
            expected="the definition with which it began" if changed else "the one with which it began",
            next_step="restore it to resume the sweep, or use `fresh` to start a new sweep",
        )
    return None, definition


def grown(then: SweepDefinition, now: SweepDefinition, measured: bool = True) -> SweepDefinition:
    """Return `now`, with the larger of both budgets, seed lists and replicates, so that no finished work is dropped.

    A larger number of finals or replicates than before adds one look, or the declared ones above the last look so
    far; a smaller number changes nothing. The definition counts added looks, since earlier looks had all the risk.

    `measured` is whether any final has begun. Before that, more finals of one replicate add no look: nobody can have
    chosen their number by the accuracies that they are judged by. This does not hold for replicates, since the
    validation accuracies of a search tell of its finals.
    """
    changes = {
        "budget": max(then.budget, now.budget),
        "final_seeds": max(then.final_seeds, now.final_seeds, key=len),
        "replicates": max(then.replicates, now.replicates),
    }
    looks, added = now.looks, now.added_looks
    if then.replicates > now.replicates or then.looks_at[-1] >= now.looks_at[-1]:
        looks, added = then.looks, then.added_looks
    elif min(then.replicates, now.replicates) > 1 or (now.replicates == 1 and measured):
        before = tuple(each for each in then.looks_at if each >= LEAST_UNITS)
        more = tuple(each for each in now.looks_at if each > then.looks_at[-1])
        looks, added = before + more, then.added_looks + len(more) if before else 0
    return now.model_copy(update=changes | {"looks": looks, "added_looks": added})


def _changed_definition(then: SweepDefinition, now: SweepDefinition, kept_in_then: str, kept_in_now: str) -> str:
    """Describe the first field that differs, with both values; empty if only the amount of work differs."""
    shorter, longer = sorted((then.final_seeds, now.final_seeds), key=len)
    same: dict[str, Any] = {"budget": 0, "replicates": 1, "looks": None, "added_looks": 0}
    if longer[: len(shorter)] == shorter:
        same["final_seeds"] = ()
    both = ((then, kept_in_then), (now, kept_in_now))
    ones, others = ({**json.loads(canonical_json(each)), **same, "storage": of} for each, of in both)
    return next((f"{key} was {was!r}, now {is_now!r}" for key, was, is_now in differences(ones, others)), "")


def _other_origin(found: FoundRun, definition: SweepDefinition, tracker: Tracker, now: Origin) -> str:
    """Describe the file of own code, or the dataset, that changed since the sweep began; empty if none did."""
    for file, was, is_now in changed_source(found, now.source, tracker.read_artifact):
        return f"{file!r} ({short(was)}, now {short(is_now)})"
    digest = found.tags.get(Tag.DATA_DIGEST, now.digest)
    if digest == now.digest:
        return ""
    return f"dataset {definition.base.dataset.name!r} (digest {short(digest)}, now {short(now.digest)})"


def _start_sweep(name: str, definition: SweepDefinition, kept_in: str, tracker: Tracker, origin: Origin) -> str:
    """Create the sweep's run with its definition, tags and provenance, and return the run's id."""
    tags = {
        Tag.STORAGE: kept_in,
        Tag.STAGE: Stage.SWEEP,
        Tag.SEQUENCE: f"{tracker.latest_sequence() + 1:08}",
        Tag.DEFINITION_HASH: config_hash(definition),
        Tag.SUBSET: str(definition.subset).lower(),
        Tag.DATA_DIGEST: origin.digest,
        Tag.DEVICE: definition.base.device,
        Tag.THREADS: str(definition.base.threads),
        Tag.NOTE: _note(definition),
        **source_tags(origin.source),
    }
    sweep_id = tracker.start_run(name, name, params_of(definition), tags | provenance_tags())
    tracker.log_artifact(sweep_id, DEFINITION_ARTIFACT, canonical_json(definition).encode())
    log_provenance(tracker, sweep_id, origin.source)
    sweep_folder(sweep_id).mkdir(parents=True)  # the next process finds the sweep by it, so its records come first
    return sweep_id


def params_of(definition: SweepDefinition) -> dict[str, Any]:
    """Return the params that MLflow shows for a definition, without the budget, which may grow later."""
    return {in_mlflow(key): value for key, value in flatten(definition).items() if key != "budget"}


def _note(definition: SweepDefinition) -> str:
    subset = "**Subset of the data, for a first look: its accuracies mean nothing.** " if definition.subset else ""
    return (
        f"{subset}{', '.join(definition.optimizers)}: trials of up to {definition.trial_epochs} epochs within one "
        f"budget each, selected on validation; then finals of {definition.final_epochs} epochs on seeds "
        f"{', '.join(map(str, definition.final_seeds))}, measured on the test set."
    )


def in_mlflow(text: str) -> str:
    """Return a param or metric name without colons, which own optimizers contain and MLflow refuses on Windows."""
    return text.replace(":", ".")
