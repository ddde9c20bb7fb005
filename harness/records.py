"""Define the records of a run and the names of its metrics, tags and artifacts, without torch and MLflow."""

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
    """Return how many epochs of a run count against the budget, given the number of whole epochs that it trained.

    The epoch in which a run diverged or failed counts as a whole one.
    """
    return trained + (outcome in (Outcome.DIVERGED, Outcome.FAILED))


class Stage(StrEnum):
    """The role of a run: a single run, a sweep, or a part of one. A `start` is a final of the published start."""

    RUN = "run"
    SWEEP = "sweep"
    TRIAL = "trial"
    CONFIRMATION = "confirmation"
    FINAL = "final"
    START = "start"

    def of_number(self, number: int | str) -> str:
        """Return a run's name within its sweep, given the trial's number in its study or the final's seed."""
        words = {
            Stage.TRIAL: "trial {}",
            Stage.CONFIRMATION: "trial {} again",
            Stage.FINAL: "final, seed {}",
            Stage.START: "published start, seed {}",
        }
        return words[self].format(number)

    @property
    def is_tuning(self) -> bool:
        """Return whether runs of this stage belong to a search: counted against its budget, and never tested."""
        return self in (Stage.TRIAL, Stage.CONFIRMATION)


class EpochMetrics(FrozenModel):
    """The metrics of one epoch: losses in nats, accuracies as fractions, durations in (monotonic) seconds.

    `train_*` are means over the training steps of the epoch, with dropout; the other splits are evaluated after the
    epoch, without dropout, and are None if they were not evaluated. A metric that is added to this class must
    default to None, because older checkpoints lack it.
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
        """Return the values by MLflow metric name, without the splits that were not evaluated."""
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
# These metrics are recorded within an epoch, and their step counts images: means over windows of training steps, and
# results on a fixed part of the validation set.
WINDOW_LOSS = "trajectory/train_loss"
WINDOW_ACCURACY = "trajectory/train_accuracy"
POINT_LOSS = "trajectory/validation_loss"
POINT_ACCURACY = "trajectory/validation_accuracy"
TRAJECTORY = (WINDOW_LOSS, WINDOW_ACCURACY, POINT_LOSS, POINT_ACCURACY)


class TrajectoryPoint(FrozenModel):
    """The model's loss and accuracy on a fixed part of the validation set, within an epoch or at its end.

    `step` and `images` count from the beginning of the run. The loss (nats) is None if it is not finite; the
    accuracy is a fraction.
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
    """The first loss that was not finite. `step` counts batches within the epoch from 0."""

    epoch: int
    step: int
    split: str

    @property
    def in_words(self) -> str:
        """Return the divergence as a clause for messages."""
        return f"the {self.split} loss is not finite at epoch {self.epoch}, step {self.step}"


DatasetUse = Literal["training", "validation", "testing"]  # MLflow's names
USES: dict[str, DatasetUse] = {"validation": "validation", "test": "testing"}  # by the name of the evaluated split


class DatasetInput(FrozenModel):
    """The part of a dataset that a run was trained or measured on.

    The first half of `digest` is from the digest of the whole dataset; the second half identifies the part. `source`
    is the dataset's folder, or the user's own function that made it.
    """

    name: str
    use: DatasetUse
    digest: str
    source: Path | str
    images: int


class Mistake(FrozenModel):
    """A test image that the model misclassified.

    `index` is the image's index in the test set. `ground_truth` and `prediction` are class indices, and `probability`
    is the probability of the prediction. `pixels` is base64 of the picture's bytes (0-255), row by row. Its `shape`
    is (height, width) in grey or (height, width, 3) in colour. A row of features has no picture: both are empty.
    """

    index: int
    ground_truth: int
    prediction: int
    probability: float
    pixels: str
    shape: tuple[int, ...] = (28, 28)


class Mistakes(FrozenModel):
    """The mistakes of a model on the test set.

    `class_names` has one name per output of the model, which may be more than there are classes in the data.
    `confusion` counts images: one row per true class, one column per predicted class. `most_confident` has the twenty
    (or fewer) wrong predictions of the highest probability, the highest first, ties by index. `wrong` has the indices
    of all misclassified images; None in runs of version 0.1, which did not record it.
    """

    class_names: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    most_confident: tuple[Mistake, ...]
    wrong: tuple[int, ...] | None = None


class RunRecord(FrozenModel):
    """A run that has ended, as `harness run --json` prints it."""

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
    TRAINED_BY = "harness.trained_by"  # on a model: the run that trained it
    NUMBER = "harness.number"  # on a trial: its number in its study; on a final: its seed
    REPLICATE = "harness.replicate"  # on a trial or final, from 1; older runs lack it and belong to replicate 1
    SEQUENCE = "harness.sequence"  # on a sweep: its number in the order in which sweeps were started
    COMMAND = "harness.command"  # on a sweep: the command that resumes it
    STORAGE = "harness.storage"  # on a sweep: the address of its Optuna studies
    SUBSET = "harness.subset"
    SUPERSEDED = "harness.superseded"  # on a final: "true" where more trials have found a better winner
    IMAGES = "harness.images"  # the number of images that the run was trained on
    SPENT = "harness.images_spent"  # on a trial or final: images that count against the budget, >= IMAGES
    DATA_DIGEST = "harness.data_digest"
    SOURCE_DIGEST = "harness.source_digest"  # of the files of the user's own parts, where there are any
    TORCH = "harness.torch"
    DEVICE = "harness.device"
    DETERMINISM = "harness.determinism"
    THREADS = "harness.threads"
    GIT_COMMIT = "mlflow.source.git.commit"
    GIT_DIRTY = "harness.git_dirty"
    GIVEN_UP = "harness.given_up"  # on a final: "true" where it failed a second time
    PROCESS = "harness.process"  # on a single run or sweep: the last process, as `harness.lock` names it
    FOLDER = "harness.folder"  # on a single run or sweep: the folder of that process
    SOURCE = "mlflow.source.name"
    USER = "mlflow.user"
    PARENT = "mlflow.parentRunId"
    NOTE = "mlflow.note.content"
    COLOUR = "mlflow.runColor"


CONFIG_ARTIFACT = "config.json"
ENVIRONMENT_ARTIFACT = "environment.json"
DIFF_ARTIFACT = "git.diff"
SOURCE_ARTIFACT = "source.json"  # the hash of each file of the user's own parts, by file name
STATE_ARTIFACT = "state.pt"
STEPS_ARTIFACT = "steps.npz"  # the loss of every step, and the number of its images that were right
MISTAKES_ARTIFACT = "mistakes.json"
CONFUSION_ARTIFACT = "confusion.png"  # the confusion matrix, shown in MLflow's UI
IMPORTANCES_ARTIFACT = "importances.json"
DEFINITION_ARTIFACT = "definition.json"
REPORT_ARTIFACT = "report"
