"""Compare the environment and code that a run recorded with the present environment and code."""

import json
from typing import Any

from harness.config import FrozenModel, RunConfig, differences
from harness.provenance.environment import environment, git_commit_and_diff
from harness.provenance.imported import imported_source
from harness.provenance.origin import changed_source
from harness.provenance.source import own_names, short
from harness.provenance.variables import numerical_variables
from harness.records import DIFF_ARTIFACT, ENVIRONMENT_ARTIFACT, Tag
from harness.tracking.read import read_artifact
from harness.tracking.tracker import TrackedRun
from harness.training.determinism import determinism


class Change(FrozenModel):
    """A recorded value that is different now. `then` or `now` is None if the value does not exist."""

    what: str
    then: str | None
    now: str | None


def environment_changes(run_id: str, recorded: RunConfig, config: RunConfig) -> tuple[Change, ...]:
    """Return the changes that can alter the last bits of a result; the number of threads is in the config."""
    then: dict[str, Any] = json.loads(read_artifact(run_id, ENVIRONMENT_ARTIFACT))
    now = environment()
    if config.device == "mps":
        return (Change(what="determinism", then=determinism("mps"), now=determinism("mps")),)
    on_cpu = ["torch", "torch_build", "machine", "cpu_capability", "cpu_features"]
    keys = on_cpu if config.device == "cpu" else ["torch", "gpus"]
    # older runs recorded no environment variables: do not compare them
    variables = then.get("variables", now["variables"])
    changed = differences(
        {"device": recorded.device}
        | {key: then.get(key) for key in keys}
        | numerical_variables(variables, config.device),
        {"device": config.device}
        | {key: now[key] for key in keys}
        | numerical_variables(now["variables"], config.device),
    )
    return tuple(Change(what=key, then=_text(was), now=_text(is_now)) for key, was, is_now in changed)


def _text(value: Any) -> str | None:  # noqa: ANN401
    return None if value is None else str(value)


def code_changes(recorded: TrackedRun, config: RunConfig) -> tuple[Change, ...]:
    """Return the changes of the current folder's Git repository, and of the files of the user's own parts.

    The files of own parts are compared too because they may be outside any repository.
    """
    commit, diff = git_commit_and_diff()
    differences = []
    if recorded.tags.get(Tag.GIT_COMMIT) != commit:
        differences.append(Change(what="git commit", then=recorded.tags.get(Tag.GIT_COMMIT), now=commit))
    was_dirty = recorded.tags.get(Tag.GIT_DIRTY)
    before = read_artifact(recorded.run_id, DIFF_ARTIFACT).decode() if was_dirty == "true" else ""
    then = None if was_dirty == "unknown" else before
    if then != diff or diff is None:
        described = [_lines(text) for text in (then, diff)]
        differences.append(Change(what="uncommitted changes", then=described[0], now=described[1]))
    for file, was, is_now in changed_source(recorded, imported_source(own_names(config)), read_artifact):
        differences.append(Change(what=file, then=was and short(was), now=is_now and short(is_now)))
    return tuple(differences)


def _lines(diff: str | None) -> str:
    if diff is None:
        return "unknown"
    return f"{diff.count(chr(10))} lines" if diff else "none"
