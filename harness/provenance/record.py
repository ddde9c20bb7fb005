"""What a run or sweep records of where its numbers come from: as tags, and as artifacts."""

from harness.config import RunConfig, config_hash
from harness.provenance.environment import environment, git_commit_and_diff
from harness.provenance.source import OwnSource
from harness.records import DIFF_ARTIFACT, ENVIRONMENT_ARTIFACT, SOURCE_ARTIFACT, Tag
from harness.tracking.tracker import Tracker, json_bytes
from harness.training.determinism import determinism


def provenance_tags() -> dict[str, str]:
    """Who ran it, the torch build, the commit and whether the working folder differs from it."""
    commit, diff = git_commit_and_diff()
    dirty = "unknown" if diff is None else str(bool(diff)).lower()
    tags = {Tag.TORCH: str(environment()["torch"]), Tag.SOURCE: "harness", Tag.USER: str(environment()["user"])}
    return tags if commit is None else tags | {Tag.GIT_COMMIT: commit, Tag.GIT_DIRTY: dirty}


def log_provenance(tracker: Tracker, run_id: str, source: OwnSource) -> None:
    """Store the environment, and the uncommitted changes and the files of own parts where there are any."""
    tracker.log_artifact(run_id, ENVIRONMENT_ARTIFACT, json_bytes(environment()))
    _, diff = git_commit_and_diff()
    if diff:
        tracker.log_artifact(run_id, DIFF_ARTIFACT, diff.encode())
    if source.digest:
        tracker.log_artifact(run_id, SOURCE_ARTIFACT, json_bytes(source.files))


def config_tags(config: RunConfig, data_digest: str) -> dict[str, str]:
    """What identifies a run's numbers, as tags, because the UI's filters don't reach through parents."""
    return {
        Tag.CONFIG_HASH: config_hash(config),
        Tag.OPTIMIZER: config.optimizer.name,
        Tag.SEED: str(config.seed),
        Tag.DATA_DIGEST: data_digest,
        Tag.DEVICE: config.device,
        Tag.DETERMINISM: determinism(config.device),
        Tag.THREADS: str(config.threads),
    }
