"""How a sweep begins: what is a user's own is tried, and a sweep of before is gone on with, or a new one started."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config import OwnModelConfig, canonical_json, config_hash, differences, flatten, validated
from harness.errors import BadInputError, without_password
from harness.provenance.origin import (
    Origin,
    changed_source,
    load_cached_splits,
    new_origin,
    present_origin,
    source_tags,
)
from harness.provenance.record import log_provenance, provenance_tags
from harness.provenance.source import own_names, short
from harness.records import DEFINITION_ARTIFACT, Outcome, Stage, Tag
from harness.tracking.tracker import FoundRun, Tracker
from harness.training.checks import require_sound
from harness.training.determinism import require_threads
from harness.training.images import Splits
from harness.training.networks import gives_logits
from studies.definition import LEAST_UNITS, SweepDefinition
from studies.open_sweep import with_outputs
from studies.snapshot import sweep_folder
from studies.space import Choice

logger = logging.getLogger(__name__)
FILE = "file"  # where studies are that are in no database


@dataclass(frozen=True)
class Begun:
    """A sweep that begins, or goes on with what is `found` of it; `definition` is what is to be done now.

    `logits` are the own models that were found to give them.
    """

    sweep_id: str
    definition: SweepDefinition
    found: FoundRun | None
    data: Splits
    origin: Origin
    logits: frozenset[str]

    @property
    def is_complete(self) -> bool:
        """Judge whether it has come to its end under this very definition."""
        if self.found is None:
            return False
        tags = self.found.tags
        same = tags[Tag.DEFINITION_HASH] == config_hash(self.definition)
        return tags.get(Tag.OUTCOME) == Outcome.COMPLETED and same


def begin_sweep(
    name: str, definition: SweepDefinition, tracker: Tracker, data_dir: Path | None, storage: str | None, fresh: bool
) -> Begun:
    """Go on with the last sweep of that name that was begun in this folder, or start a new one.

    Raises:
        BadInputError: that sweep has another definition, storage, data or source of own parts and has not ended; or
            own parts are unsound.
    """
    data = load_cached_splits(definition.base.dataset, "cpu", data_dir)
    for optimizer in definition.optimizers:
        require_threads(definition.example(optimizer).threads)
    logits = _require_sound_parts(definition, data)
    kept_in = without_password(storage) if storage else FILE
    names = _names_of_own_parts(definition)
    origin = present_origin(data, names)
    found, definition = (None, definition) if fresh else _find_sweep(name, definition, kept_in, tracker, origin)
    if found is not None:
        return Begun(found.run_id, definition, found, data, origin, logits)
    origin = new_origin(definition.base, data, names)
    return Begun(_start_sweep(name, definition, kept_in, tracker, origin), definition, None, data, origin, logits)


def _require_sound_parts(definition: SweepDefinition, data: Splits) -> frozenset[str]:
    """Try what is a user's own of every optimizer's trials, and return the models that were found to give logits."""
    logits: frozenset[str] = frozenset()
    for optimizer in definition.optimizers:
        for example in definition.examples(optimizer):
            sound = require_sound(with_outputs(example, logits), data, definition.batch_sizes(optimizer)).model
            if isinstance(sound, OwnModelConfig) and gives_logits(sound):
                logits |= {sound.name}
    return logits


def _names_of_own_parts(definition: SweepDefinition) -> set[str]:
    """The user's own parts that the sweep can train: of its optimizers' configs, and among what is searched."""
    names = {name for optimizer in definition.optimizers for name in own_names(definition.example(optimizer))}
    for optimizer in definition.optimizers:
        for key, searched in definition.searched(optimizer).items():
            if key.endswith(".name") and isinstance(searched, Choice):
                names |= {str(name) for name in searched.choices if ":" in str(name)}
    return names


def _find_sweep(
    name: str, definition: SweepDefinition, kept_in: str, tracker: Tracker, origin: Origin
) -> tuple[FoundRun | None, SweepDefinition]:
    """The last sweep of that name with a folder here, if it is one to go on with; and what is to be done now.

    What was done stays done: a budget, the replicates, the final seeds and the looks can only grow.
    """
    for found in tracker.find_runs(name, {Tag.STAGE: Stage.SWEEP}):
        if not sweep_folder(found.run_id).exists():
            continue
        stored = json.loads(tracker.read_artifact(found.run_id, DEFINITION_ARTIFACT))
        # parsed, so that fields which are younger than that sweep are there, as they were: off
        try:
            then = validated(SweepDefinition, stored)
        except BadInputError as error:  # it was no error when that sweep began
            if found.tags.get(Tag.OUTCOME) == Outcome.COMPLETED:
                return None, definition
            raise BadInputError(
                "sweep",
                found.run_id,
                f"of {name!r} has not ended, and its own definition is refused now ({error.without_next_step})",
                next_step="say `fresh` to begin anew",
            ) from None
        changed = _changed_definition(then, definition, found.tags[Tag.STORAGE], kept_in)
        other = "" if changed else _other_origin(found, definition, tracker, origin)
        if not changed and not other:
            return found, grown(then, definition)
        if found.tags.get(Tag.OUTCOME) == Outcome.COMPLETED:
            if other:
                logger.warning("harness: sweep %r ended with another %s; a new one begins", found.run_id, other)
            return None, definition
        raise BadInputError(
            "sweep",
            found.run_id,
            f"of {name!r} has not ended, and {f'its {changed}' if changed else f'began with another {other}'}",
            expected="its own definition" if changed else "its own",
            next_step="restore it to go on, or say `fresh` to begin anew",
        )
    return None, definition


def grown(then: SweepDefinition, now: SweepDefinition) -> SweepDefinition:
    """Return the definition that does what both do, where they differ in how much alone.

    More finals or replicates than were declared are one more look; fewer change nothing.
    """
    changes = {
        "budget": max(then.budget, now.budget),
        "final_seeds": max(then.final_seeds, now.final_seeds, key=len),
        "replicates": max(then.replicates, now.replicates),
    }
    looks = now.looks
    if then.replicates > now.replicates or then.looks_at[-1] >= now.looks_at[-1]:
        looks = then.looks
    elif min(then.replicates, now.replicates) > 1 or now.replicates == 1:
        looks = tuple(sorted({each for each in (*then.looks_at, *now.looks_at) if each >= LEAST_UNITS}))
    return now.model_copy(update=changes | {"looks": looks})


def _changed_definition(then: SweepDefinition, now: SweepDefinition, kept_in_then: str, kept_in_now: str) -> str:
    """The first field that is another, and both values; empty where none is but how much is to be done."""
    shorter, longer = sorted((then.final_seeds, now.final_seeds), key=len)
    same: dict[str, Any] = {"budget": 0, "replicates": 1, "looks": None}
    if longer[: len(shorter)] == shorter:
        same["final_seeds"] = ()
    both = ((then, kept_in_then), (now, kept_in_now))
    ones, others = ({**json.loads(canonical_json(each)), **same, "storage": of} for each, of in both)
    return next((f"{key} was {was!r}, now {is_now!r}" for key, was, is_now in differences(ones, others)), "")


def _other_origin(found: FoundRun, definition: SweepDefinition, tracker: Tracker, now: Origin) -> str:
    """The file of own parts, or the dataset, that a sweep began with and that is another now; empty where none is."""
    for file, was, is_now in changed_source(found, now.source, tracker.read_artifact):
        return f"{file!r} ({short(was)}, now {short(is_now)})"
    digest = found.tags.get(Tag.DATA_DIGEST, now.digest)
    if digest == now.digest:
        return ""
    return f"dataset {definition.base.dataset.name!r} (digest {short(digest)}, now {short(now.digest)})"


def _start_sweep(name: str, definition: SweepDefinition, kept_in: str, tracker: Tracker, origin: Origin) -> str:
    """Open a sweep's run with its definition, tags and provenance, and return its id."""
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
    return sweep_id


def params_of(definition: SweepDefinition) -> dict[str, Any]:
    """What MLflow shows of a definition; without the budget, of which there may be more later."""
    return {in_mlflow(key): value for key, value in flatten(definition).items() if key != "budget"}


def _note(definition: SweepDefinition) -> str:
    subset = "**Subset of the data, for a first look: its accuracies mean nothing.** " if definition.subset else ""
    return (
        f"{subset}{', '.join(definition.optimizers)}: trials of up to {definition.trial_epochs} epochs within one "
        f"budget each, selected on validation; then finals of {definition.final_epochs} epochs on seeds "
        f"{', '.join(map(str, definition.final_seeds))}, measured on the test set."
    )


def in_mlflow(text: str) -> str:
    """Return a param's or metric's name without colons, which MLflow refuses on Windows and own optimizers have."""
    return text.replace(":", ".")
