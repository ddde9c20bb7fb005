"""Courses hold the measurements of runs within epochs, or at the ends of epochs if nothing else was recorded."""

from dataclasses import replace

import pytest

from reports.computed import compute
from reports.courses import convergence_frame, courses_frame
from reports.tables import epochs_frame, runs_frame
from tests.reports.sweeps import CHILDREN, run, source

POINTS = {
    "trajectory/validation_accuracy": {160: 0.5, 320: 0.97, 640: 0.96, 1280: 0.98},
    "trajectory/validation_loss": {160: 1.5, 640: 0.4, 1280: 0.3},  # at 320 it was not finite
}


def within(each, points=POINTS, **tags):
    """Return the run with measurements within its epochs of 640 images."""
    params = each.params | {"dataset.train_size": "640"}
    tags = {f"harness.{name}": value for name, value in tags.items()}
    return replace(each, history=each.history | points, params=params, tags=each.tags | tags)


def test_a_course_has_a_runs_points_or_else_the_ends_of_its_epochs():
    runs = [within(run("adam", "final", 1, [0.5, 0.6])), run("adam", "final", 2, [0.7, 0.8])]
    courses = courses_frame(runs, epochs_frame(runs), "validation")
    of = dict(list(courses.groupby("run_id")))
    assert of["adam-final-1"]["epochs"].tolist() == [0.25, 0.5, 1, 2]
    assert of["adam-final-1"]["accuracy"].tolist() == [0.5, 0.97, 0.96, 0.98]
    assert of["adam-final-2"]["epochs"].tolist() == [1, 2]
    assert of["adam-final-2"]["accuracy"].tolist() == [0.7, 0.8]


def test_on_the_test_set_a_course_has_only_the_ends_of_epochs():
    runs = [within(run("adam", "final", 1, [0.5, 0.6]))]
    assert courses_frame(runs, epochs_frame(runs), "test")["epochs"].tolist() == [1, 2]


def converging(runs):
    frame = epochs_frame(runs)
    return convergence_frame(runs, courses_frame(runs, frame, "validation"), frame)


def test_convergence_has_the_error_at_each_point_and_the_loss_of_each_epoch_without_windows():
    found = converging([within(run("adam", "final", 1, [0.5, 0.6]))])
    errors = found[found["measure"] == "error"]
    assert errors["epochs"].tolist() == [0.25, 0.5, 1, 2]
    assert errors["value"].tolist() == pytest.approx([50, 3, 4, 2])
    assert found.loc[found["measure"] == "training loss", "epochs"].tolist() == [1, 2]


def test_a_final_that_diverged_within_its_first_epoch_does_not_converge():
    assert len(converging([within(run("adam", "final", 1, [], "diverged"))])) == 0


def test_a_target_is_reached_at_the_first_point_above_it_even_within_an_epoch():
    finals = [within(each) if each.tags["harness.stage"] == "final" else each for each in CHILDREN]
    targets = compute(source(finals)).targets
    assert targets["target"].unique().tolist() == [0.5, 0.688], "by the winners' errors in tuning"
    reached = targets[(targets["optimizer"] == "adam") & (targets["target"] == 0.688)]
    assert reached["epochs"].tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("each", "epochs", "spent", "accuracy"),
    [
        (within(run("adam", "trial", 0, [], "pruned"), images="320", images_spent="320"), 0.5, 0.5, 0.98),
        (within(run("adam", "trial", 0, [], "diverged"), images="32", images_spent="160"), 0.05, 0.25, 0.98),
        (within(run("adam", "trial", 0, [0.7], "pruned"), {}, images="640", images_spent="640"), 1, 1, 0.7),
        (within(run("adam", "trial", 0, [0.7, 0.8]), images="1280", images_spent="1280"), 2, 2, 0.8),
        (run("adam", "trial", 0, [0.7], "pruned"), 1, 1, 0.7),  # of before there were points
        (run("adam", "trial", 0, [0.7], "diverged"), 1, 2, 0.7),
    ],
    ids=["pruned", "diverged", "pruned at the end of an epoch", "completed", "older", "older, diverged"],
)
def test_a_trial_has_the_epochs_it_trained_those_it_spent_and_its_last_accuracy(each, epochs, spent, accuracy):
    (found,) = runs_frame([each], epochs_frame([each])).to_dict("records")
    assert (found["epochs"], found["spent"], found["validation_accuracy"]) == (epochs, spent, accuracy)
