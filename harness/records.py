"""What a run reports: EpochMetrics, RunRecord, and the names of metrics and tags. No torch, no MLflow."""

from enum import StrEnum
from pathlib import Path
from typing import Literal, NamedTuple

from harness.config import FrozenModel, RunConfig


class Outcome(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    FAILED = "failed"
    KILLED = "killed"


def epochs_begun(trained: int, outcome: str | None) -> int:
    """Return how many epochs of a budget a run spent that trained so many whole ones.

    An epoch that was begun is spent: the one in which it diverged or failed counts.
    """
    return trained + (outcome in (Outcome.DIVERGED, Outcome.FAILED))


class Stage(StrEnum):
    """What a run is part of. A `start` is what a final is, of the published start in the winner's place."""

    RUN = "run"
    SWEEP = "sweep"
    TRIAL = "trial"
    CONFIRMATION = "confirmation"
    FINAL = "final"
    START = "start"

    def of_number(self, number: int | str) -> str:
        """Say which run of a sweep it is: by the trial's number in its study, or by the final's seed."""
        words = {
            Stage.TRIAL: "trial {}",
            Stage.CONFIRMATION: "trial {} again",
            Stage.FINAL: "final, seed {}",
            Stage.START: "published start, seed {}",
        }
        return words[self].format(number)

    @property
    def is_tuning(self) -> bool:
        """Whether its runs are part of a search, spend its budget and never see the test set."""
        return self in (Stage.TRIAL, Stage.CONFIRMATION)


class EpochMetrics(FrozenModel):
    """One epoch's numbers: losses in nats, accuracies as fractions, durations in (monotonic) seconds.

    `train_*` are means over the images as they were trained on, dropout active; the other splits are
    evaluated after the epoch, without dropout. A split that was not evaluated is None. A metric that is
    added later is None by default, as it is in the checkpoints of before.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    train_seconds: float
    evaluate_seconds: float
    images_per_second: float

    def as_metrics(self) -> dict[str, float]:
        """By MLflow metric name, absent splits left out."""
        values = {METRIC_NAMES[field]: getattr(self, field) for field in METRIC_NAMES}
        return {name: value for name, value in values.items() if value is not None}


METRIC_NAMES = {
    "train_loss": "train/loss",
    "train_accuracy": "train/accuracy",
    "validation_loss": "validation/loss",
    "validation_accuracy": "validation/accuracy",
    "test_loss": "test/loss",
    "test_accuracy": "test/accuracy",
    "train_seconds": "seconds/train",
    "evaluate_seconds": "seconds/evaluate",
    "images_per_second": "images_per_second",
}
# recorded within an epoch too, at a step that counts images: means over windows of training steps, and what the
# model does on a fixed part of the validation set
WINDOW_LOSS = "trajectory/train_loss"
WINDOW_ACCURACY = "trajectory/train_accuracy"
POINT_LOSS = "trajectory/validation_loss"
POINT_ACCURACY = "trajectory/validation_accuracy"
TRAJECTORY = (WINDOW_LOSS, WINDOW_ACCURACY, POINT_LOSS, POINT_ACCURACY)


class TrajectoryPoint(FrozenModel):
    """The model measured on a fixed part of the validation set, within an epoch or at its end.

    `step` and `images` count from the run's beginning. The loss (nats) is None where it is not finite; the accuracy
    is a fraction.
    """

    step: int
    images: int
    validation_loss: float | None
    validation_accuracy: float


class MetricRow(NamedTuple):
    """One value of a metric, at a step."""

    name: str
    value: float
    step: int


class Divergence(FrozenModel):
    """Where a loss first stopped being finite. `step` counts batches within the epoch from 0."""

    epoch: int
    step: int
    split: str

    @property
    def in_words(self) -> str:
        """What happened, and where."""
        return f"the {self.split} loss is not finite at epoch {self.epoch}, step {self.step}"


DatasetUse = Literal["training", "validation", "testing"]  # as MLflow names it
USES: dict[str, DatasetUse] = {"validation": "validation", "test": "testing"}  # of a split that is evaluated


class DatasetInput(FrozenModel):
    """The part of a dataset that a run was trained or measured on.

    `digest` begins as that of the whole dataset, its second half says which part. `source` is the dataset's folder,
    or the user's own function that made it.
    """

    name: str
    use: DatasetUse
    digest: str
    source: Path | str
    images: int


class Mistake(FrozenModel):
    """A test image that the model got wrong.

    `index` is the image's in the test set, `ground_truth` and `prediction` are of classes, `probability` is what the
    model gave its prediction, `pixels` is base64 of the image's bytes (0-255), row by row, in grey (height, width) or
    in colour (height, width, 3), as `shape` says; empty for a row of features, which has no picture.
    """

    index: int
    ground_truth: int
    prediction: int
    probability: float
    pixels: str
    shape: tuple[int, ...] = (28, 28)


class Mistakes(FrozenModel):
    """What a model gets wrong on the test set.

    `class_names` are as many as the model has outputs, which may be more than there are classes in the data.
    `confusion` counts images: a row a ground truth, a column a prediction. `most_confident` are the twenty wrong
    predictions of highest probability (fewer where there are fewer), the highest first; ties by index. `wrong` are
    the indices of all images that it got wrong; None in a run of version 0.1, which kept the twenty alone.
    """

    class_names: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    most_confident: tuple[Mistake, ...]
    wrong: tuple[int, ...] | None = None


class RunRecord(FrozenModel):
    """One ended run, as `harness run --json` prints it."""

    run_id: str
    config: RunConfig
    config_hash: str
    state_hash: str
    outcome: Outcome
    divergence: Divergence | None = None
    epochs: tuple[EpochMetrics, ...]


class Tag:
    """Names of the tags on MLflow runs."""

    STAGE = "harness.stage"
    OUTCOME = "harness.outcome"
    CONFIG_HASH = "harness.config_hash"
    STATE_HASH = "harness.state_hash"
    DIVERGENCE = "harness.divergence"
    ERROR = "harness.error"
    SWEEP_ID = "harness.sweep_id"
    DEFINITION_HASH = "harness.definition_hash"
    OPTIMIZER = "harness.optimizer"
    SEED = "harness.seed"
    TRAINED_BY = "harness.trained_by"  # of a model, the run that trained it
    NUMBER = "harness.number"  # the trial's in its study, or the final's seed
    REPLICATE = (
        "harness.replicate"  # of a sweep's part, counted from 1; runs of before have none, and are of the first
    )
    SEQUENCE = "harness.sequence"  # of sweeps in the order in which they were started
    COMMAND = "harness.command"  # of a sweep, what goes on with it
    STORAGE = "harness.storage"  # where a sweep's Optuna studies are
    SUBSET = "harness.subset"
    SUPERSEDED = "harness.superseded"  # of a final, "true": more trials found a better winner since
    IMAGES = "harness.images"  # on how many the run was trained, until its end
    SPENT = "harness.images_spent"  # of a trial or final, how many of the budget: more where it diverged or failed
    DATA_DIGEST = "harness.data_digest"
    SOURCE_DIGEST = "harness.source_digest"  # of the files of own parts, where there are any
    TORCH = "harness.torch"
    DEVICE = "harness.device"
    DETERMINISM = "harness.determinism"
    THREADS = "harness.threads"
    GIT_COMMIT = "mlflow.source.git.commit"
    GIT_DIRTY = "harness.git_dirty"
    GIVEN_UP = "harness.given_up"  # of a final that failed, "true": again when it was tried once more
    PROCESS = "harness.process"  # of a single run or sweep, who was at it last: as `harness.lock` says it
    FOLDER = "harness.folder"  # and where
    SOURCE = "mlflow.source.name"
    USER = "mlflow.user"
    PARENT = "mlflow.parentRunId"
    NOTE = "mlflow.note.content"
    COLOUR = "mlflow.runColor"


CONFIG_ARTIFACT = "config.json"
ENVIRONMENT_ARTIFACT = "environment.json"
DIFF_ARTIFACT = "git.diff"
SOURCE_ARTIFACT = "source.json"  # the files of own parts, by name, each with its hash
STATE_ARTIFACT = "state.pt"
STEPS_ARTIFACT = "steps.npz"  # the loss of every step, and how many of its images were right
MISTAKES_ARTIFACT = "mistakes.json"
CONFUSION_ARTIFACT = "confusion.png"  # of the same run, for whoever looks at it in MLflow
IMPORTANCES_ARTIFACT = "importances.json"
DEFINITION_ARTIFACT = "definition.json"
REPORT_ARTIFACT = "report"
