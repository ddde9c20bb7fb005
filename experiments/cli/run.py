"""Define the commands of a single run: train a run, rerun it to compare, and predict an image with its model."""

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.cli.options import (
    DataDir,
    DeviceOption,
    Epochs,
    Fast,
    Json,
    Quiet,
    Resume,
    RunArgument,
    Seed,
    SetOption,
)
from experiments.cli.prose import print_json, say
from experiments.cli.settings import resolve_config
from harness.errors import BadInputError, HarnessError, WorkFailedError, described

if TYPE_CHECKING:
    from harness.records import Divergence, RunRecord


def run(
    experiment: RunArgument = None,
    seed: Seed = None,
    epochs: Epochs = None,
    settings: SetOption = None,
    resume: Resume = None,
    device: DeviceOption = None,
    fast: Fast = False,
    data_dir: DataDir = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train one run, tracked in MLflow."""
    with_settings = bool(seed or epochs or device or settings or fast)
    _require_experiment_or_resume(experiment, resume, with_settings)
    from experiments.cli.progress import watch_training, working

    with working("opening the tracking store and reading the data", quiet):
        config = (
            resolve_config(experiment, seed, epochs, device or "auto", settings or [], fast) if experiment else None
        )
        from experiments.catalog import title
        from harness.run import begin_run, complete_run, resume_run
        from harness.tracking.mlflow import MlflowTracker

        tracker = MlflowTracker()
        opened = (
            begin_run(config, tracker, title(experiment), data_dir)
            if config and experiment
            else resume_run(str(resume), tracker, data_dir)
        )
    try:
        with watch_training(opened.config, opened.config.epochs, quiet) as shown:
            record = complete_run(opened, tracker, data_dir, shown.ended, shown.stepped)
    except (KeyboardInterrupt, WorkFailedError):
        _say_how_to_resume(opened.run_id)
        raise
    except HarnessError:
        raise
    except (Exception, SystemExit) as error:
        traceback.print_exception(error)  # most often it leads to a line of the user's own code
        _say_how_to_resume(opened.run_id)
        raise WorkFailedError(opened.run_id, f"run failed, {described(error)}") from None
    if as_json:
        print_json(record.model_dump(mode="json"))
    else:
        say(f"{record.outcome}: run {record.run_id}, state {record.state_hash[:12]}")
    if record.divergence is not None:
        _say_that_it_diverged(record, record.divergence)
        raise typer.Exit(1)


def _require_experiment_or_resume(experiment: str | None, resume: str | None, with_settings: bool) -> None:
    if not experiment and not resume:
        raise BadInputError(
            "no run is given",
            expected="the name of a declared run, a TOML or Python file, or --resume RUN_ID",
            next_step="type `harness run chapter`, or choose a run from `harness list`",
        )
    if resume is not None and (experiment or with_settings):
        raise BadInputError(
            "--resume",
            resume,
            "is given together with an experiment or settings",
            expected="--resume alone, since a run resumes with its recorded config",
            next_step="remove the other arguments",
        )


def _say_how_to_resume(run_id: str) -> None:
    say(f"harness: to resume: harness run --resume {run_id}", err=True)


def _say_that_it_diverged(record: "RunRecord", where: "Divergence") -> None:
    from harness.config import learning_rate

    rate = learning_rate(record.config.optimizer)
    say(
        f"run {record.run_id} diverged: {where.in_words}; "
        f"try {f'a smaller optimizer.{rate[0]}' if rate else 'other settings'}",
        err=True,
    )


def predict(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="The id of a recorded run; see `harness ui`.")],
    index: Annotated[
        int | None, typer.Option(metavar="N", help="The number of an image of the test set; by default 0.")
    ] = None,
    image: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own image file, instead of a test image.")
    ] = None,
    data_dir: DataDir = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Predict the class of an image.

    A recorded run's model predicts a test image, shown with its ground truth, or your own image.
    """
    if index is not None and image is not None:
        raise BadInputError(
            f"--index {index} and --image {str(image)!r}", expected="one of the two", next_step="remove one of them"
        )
    from experiments.cli.progress import working
    from experiments.cli.terminal import print_prediction

    with working("reading the model and the image", quiet):
        from harness.paths import WORK_FOLDER, writable_folder
        from harness.predict import predict_image_file, predict_test_image
        from reports.figures.prediction import prediction
        from reports.figures.svg import render

        result = predict_image_file(run_id, image) if image else predict_test_image(run_id, index or 0, data_dir)
    seen = result.class_names[result.prediction]
    truth = "" if result.ground_truth is None else f", ground truth {result.class_names[result.ground_truth]}"
    verdict = f"prediction {seen} ({result.probabilities[result.prediction]:.1%}){truth}"
    figure = prediction(result.pixels, result.probabilities, result.class_names, verdict)
    folder = writable_folder(WORK_FOLDER / "predictions", "run in another folder")
    name = image.stem if image else f"test-{index or 0}"
    picture = (folder / f"{run_id[:8]}-{name}.png").resolve()
    picture.write_bytes(render(figure, "png", salt=name))
    if as_json:
        print_json(result.model_dump(mode="json") | {"picture": str(picture)})
        return
    print_prediction(result, verdict)
    say(f"picture: {picture}")


def reproduce(
    run_id: Annotated[
        str, typer.Argument(metavar="RUN_ID", help="The id of a run, trial or final; see `harness ui`.")
    ],
    data_dir: DataDir = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Rerun a recorded run and compare.

    It compares every epoch and the final state. If they differ, the exit code is 1.
    """
    from experiments.cli.progress import watch_training, working
    from experiments.cli.results import print_reproduction

    with working("reading the run and its data", quiet):
        from harness.reproduce import recorded_config
        from harness.reproduce import reproduce as run_again

        config = recorded_config(run_id)
    try:
        with watch_training(config, None, quiet) as shown:
            result = run_again(run_id, data_dir, shown.ended, shown.stepped)
    except WorkFailedError as error:
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__)  # most often it leads to a line of the user's own code
        raise
    if as_json:
        print_json(result.model_dump(mode="json") | {"first_difference": result.first_difference})
    else:
        print_reproduction(result)
    if result.first_difference is not None:
        raise typer.Exit(1)
