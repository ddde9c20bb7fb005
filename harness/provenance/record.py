"""Record the provenance of a run or sweep, as tags and artifacts."""

from harness.config import RunConfig, config_hash
from harness.provenance.environment import environment, git_commit_and_diff
from harness.provenance.source import OwnSource
from harness.records import DIFF_ARTIFACT, ENVIRONMENT_ARTIFACT, SOURCE_ARTIFACT, Tag
from harness.tracking.tracker import Tracker, json_bytes
from harness.training.determinism import determinism


def provenance_tags() -> dict[str, str]:
    """Return the tags for user, torch build, Git commit, and whether the current folder has uncommitted changes."""
    commit, diff = git_commit_and_diff()
    dirty = "unknown" if diff is None else str(bool(diff)).lower()
    tags = {Tag.TORCH: str(environment()["torch"]), Tag.SOURCE: "harness", Tag.USER: str(environment()["user"])}
    return tags if commit is None else tags | {Tag.GIT_COMMIT: commit, Tag.GIT_DIRTY: dirty}


def log_provenance(tracker: Tracker, run_id: str, source: OwnSource) -> None:
    """Store the environment, and if there are any, the uncommitted changes and the hashes of own files."""
    tracker.log_artifact(run_id, ENVIRONMENT_ARTIFACT, json_bytes(environment()))
    _, diff = git_commit_and_diff()
    if diff:
        tracker.log_artifact(run_id, DIFF_ARTIFACT, diff.encode())
    if source.digest:
        tracker.log_artifact(run_id, SOURCE_ARTIFACT, json_bytes(source.files))


def config_tags(config: RunConfig, data_digest: str) -> dict[str, str]:
    """Return the tags that identify a run. Each run has all of them: the UI can't filter by a parent's tags."""
    return {
        Tag.CONFIG_HASH: config_hash(config),
        Tag.OPTIMIZER: config.optimizer.name,
        Tag.SEED: str(config.seed),
        Tag.DATA_DIGEST: data_digest,
        Tag.DEVICE: config.device,
        Tag.DETERMINISM: determinism(config.device),
        Tag.THREADS: str(config.threads),
    }
