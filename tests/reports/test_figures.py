"""Each figure holds the numbers of the tables, says its finding, and draws them on their scale."""

import itertools
import math

import pandas as pd
import pytest

from harness.colours import COLOURS
from harness.config import DatasetConfig, with_settings
from reports.caveats import Majority
from reports.contents import contents
from reports.edges import edges
from reports.figures.final_accuracy import final_accuracy
from reports.figures.style import WIDTHS, drawable, lay_out, looks, spread, styled
from reports.figures.time import profile, time_to_target
from reports.figures.trials import learning_rates, slices
from reports.figures.tuning_curves import tuning_curves
from reports.figures.two_sweeps import two_sweeps
from reports.page import build_report
from reports.statistics import summarize, sweep_changes
from reports.winners import Winner
from studies.space import Range
from tests.reports.sweeps import DEFINITION, changed, mistakes, run, source, untested

WHOLE, SMALL = DatasetConfig(), DatasetConfig(train_size=640)
OPTIMIZERS = [
    "sgd",
    "adagrad",
    "adadelta",
    "rmsprop",
    "adam",
    "momentum",
    "nesterov",
    "adamw",
    "nadam",
    "radam",
    "adamax",
]


@pytest.fixture(scope="module")
def pictures():
    said = contents(source())
    both = two_sweeps(sweep_changes(said.finals, said.finals), ("earlier", "later"), OPTIMIZERS)
    return said.pictures | {"comparison": both}


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours."""

    def luminance(colour):
        parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_every_colour_stands_out_on_white_and_on_the_dark_page():
    assert all(contrast(colour, ground) >= 3 for colour in COLOURS for ground in ("#ffffff", "#16161a"))


def test_an_optimizer_looks_the_same_in_every_company_and_like_no_other():
    together = looks([*OPTIMIZERS, "mine"])
    assert len({(each.colour, each.marker) for each in together.values()}) == 12
    assert len({each.colour for each in looks(OPTIMIZERS[:5]).values()}) == 5
    assert all(looks([name])[name] == together[name] for name in OPTIMIZERS)


@pytest.mark.parametrize(
    ("name", "drawn"), [("adam", "adam"), ("a$b", r"a\$b"), ("\U0001f525", "□"), ("x" * 300, "x" * 19 + "…")]
)
def test_any_name_can_be_drawn(name, drawn):
    assert drawable(name) == drawn


@pytest.mark.parametrize("width", WIDTHS)
def test_all_text_of_every_figure_is_inside_it(pictures, width):
    with styled():
        for name, picture in pictures.items():
            drawn = picture.draw(width)
            lay_out(drawn, "a warning")
            frame = drawn.get_tightbbox()
            assert frame.x0 >= -0.02, name
            assert frame.y0 >= -0.02, name
            assert frame.x1 <= drawn.get_figwidth() + 0.02, name
            assert frame.y1 <= drawn.get_figheight() + 0.02, name


def test_labels_of_lines_that_end_together_are_moved_apart_and_keep_their_order():
    moved = spread({"low": 0.10, "middle": 0.11, "high": 0.5, "top": 0.9}, 0.1)
    assert moved["middle"] - moved["low"] == pytest.approx(0.1)
    assert (moved["low"] + moved["middle"]) / 2 == pytest.approx(0.105)
    assert (moved["high"], moved["top"]) == (0.5, 0.9)


def summary(accuracies, edges=""):
    of = summarize(accuracies)
    return pd.DataFrame([{"optimizer": "adam", "tiers": "1", "edges": edges, **of.model_dump()}])


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_points_mean_and_interval_are_drawn_in_percent(seeds):
    accuracies = [0.984, 0.985, 0.987, 0.986, 0.983][:seeds]
    record = final_accuracy(summary(accuracies, "lr 1"), {"adam": dict(enumerate(accuracies))}, ["adam"], WHOLE, None)
    strip, axis = record.draw("page").axes
    points, *lines = [list(line.get_xdata()) for line in axis.lines]
    assert points == pytest.approx([100 * each for each in accuracies])
    of = summarize(accuracies)
    expected = [[of.mean, of.mean]] if seeds > 1 else []
    expected += [[of.low, of.high]] if seeds > 2 else []
    expected += [[0.9847, 0.9847]] if record.window[0] < 0.9847 < record.window[1] else []  # the chapter's run
    assert len(lines) == len(expected)
    for drawn, fractions in zip(lines, expected, strict=True):
        assert list(drawn) == pytest.approx([100 * each for each in fractions])
    assert [text.get_text() for text in axis.get_yticklabels()] == ["adam*"]
    assert strip.get_xlim() == (0, 100)
    low, high = axis.get_xlim()
    assert low <= 100 * min(accuracies) <= 100 * max(accuracies) <= high


def test_the_chapters_own_result_is_shown_only_where_it_is_comparable():
    accuracies = [0.984, 0.985, 0.986]
    finals = {"adam": dict(enumerate(accuracies))}
    assert final_accuracy(summary(accuracies), finals, ["adam"], WHOLE, None).reference == 0.9847
    assert final_accuracy(summary(accuracies), finals, ["adam"], SMALL, None).reference is None
    for images, reference in ((640, None), (50_000, 0.9847)):
        base = with_settings(DEFINITION.base, {"dataset.train_size": images})
        said = contents(source(definition=changed(base=base)))
        assert said.pictures["final-accuracy"].reference == reference


def test_convergence_is_the_median_and_range_of_the_seeds(pictures):
    adam = next(each for each in pictures["convergence"].courses if each.optimizer == "adam")
    assert adam.epochs == (1, 2)
    assert adam.accuracy == ((0.5, 0.5, 0.5), (pytest.approx(0.965), 0.96, 0.97))
    assert adam.seconds == (0.5, 1.0)
    assert "adam after the last, at 96.50%." in pictures["convergence"].finding


def test_convergence_is_on_the_test_set_where_there_is_no_validation():
    alone = run("adam", "final", 1, [0.9, 0.95])
    for measure in ("validation/loss", "validation/accuracy"):
        del alone.history[measure]
    assert contents(source([alone])).pictures["convergence"].split == "test"


def targets(rows):
    return pd.DataFrame(rows, columns=["optimizer", "seed", "target", "epochs", "seconds"])


def test_a_target_that_was_never_reached_is_shown_as_such_and_costs_the_profile():
    frame = targets(
        [
            ("sgd", "1", 0.97, 1.0, 10.0),
            ("sgd", "1", 0.98, math.inf, math.inf),
            ("adam", "1", 0.97, 1.0, 15.0),
            ("adam", "1", 0.98, 2.0, 30.0),
        ]
    )
    record = time_to_target(frame, ["sgd", "adam"])
    assert record.seconds == {0.97: {"sgd": (10.0,), "adam": (15.0,)}, 0.98: {"sgd": (math.inf,), "adam": (30.0,)}}
    assert record.finding == "97%: sgd first, in a median of 10 s; 98%: adam first, in a median of 30 s."
    steps = profile(frame, ["sgd", "adam"]).steps
    assert steps == {"sgd": ((1.0, 0.5), (1.5, 0.5)), "adam": ((1.0, 0.5), (1.5, 1.0))}


def test_a_learning_rate_at_the_edge_is_named_with_its_side(pictures):
    record = pictures["learning-rates"]
    assert record.at_edge == {"sgd": "", "adam": "widen above"}
    assert record.ranges == {"sgd": (0.01, 1.0), "adam": (0.01, 0.11)}
    assert [(point.accuracy, point.completed) for point in record.points["adam"]] == [(0.0, False), (0.7, True)]
    assert "adam 0.1 (at the edge of its range)" in record.finding


def trials(**accuracies):
    """Each optimizer's completed trials."""
    return pd.DataFrame(
        {
            "optimizer": name,
            "stage": "trial",
            "outcome": "completed",
            "epochs": 1,
            "spent": 1,
            "validation_accuracy": accuracy,
        }
        for name, values in accuracies.items()
        for accuracy in values
    )


@pytest.mark.parametrize("found", [{"adam": [0.97, 0.98, 0.99, 0.99], "sgd": [0.3, 0.37]}, {"adam": [0.37, 0.37]}])
def test_what_each_search_found_is_in_the_figure_however_far_apart_and_named(found):
    curves = tuning_curves(trials(**found), list(found))
    with styled():
        for width in WIDTHS:
            drawn = curves.draw(width)
            lay_out(drawn, "")
            (axis,) = drawn.axes
            drawn.canvas.draw()
            low, high = axis.get_ylim()
            assert all(low < 100 * max(values) < high for values in found.values())
            assert {text.get_text() for text in axis.texts} == set(found)
            assert drawn.get_tightbbox().x1 <= drawn.get_figwidth() + 0.02
            assert axis.yaxis.get_offset_text().get_text() == ""


def test_a_trial_that_diverged_costs_the_epoch_in_which_it_did(pictures):
    assert pictures["tuning-curves"].curves["adam"].at[-1] == 1 + 1 + 1
    assert pictures["tuning-curves"].curves["sgd"].at[-1] == 1


def test_confusions_are_summed_over_the_winners_seeds_and_the_worst_is_named(pictures):
    record = pictures["confusion"]
    assert (record.optimizer, record.seeds, record.counts[3][5], record.counts[3][3]) == ("adam", 2, 4, 16)
    assert (
        record.finding == "adam gets 4 of 200 test images wrong over 2 seeds; most often it takes 3 for 5, 4 times."
    )


def test_accuracy_by_class_is_of_all_seeds_together(pictures):
    assert pictures["classes"].accuracies["3"] == {"adam": 0.8, "sgd": 0.7}
    assert pictures["classes"].finding.startswith("Over all optimizers class 3 is the hardest, at 75.00%")


def test_the_most_confident_mistakes_are_shown_with_truth_and_prediction(pictures):
    with styled():
        axes = pictures["mistakes"].draw("page").axes
    assert [axis.get_title("center") for axis in axes if axis.images] == ["3 → 5\n90.0%", "3 → 5\n89.0%"]


def test_one_epoch_has_one_tick_and_losses_have_labels_that_do_not_touch():
    for losses in ([0.5], [0.055, 0.1], [0.05, 2.3]):
        final = run("adam", "final", 1, [0.9] * len(losses))
        final.history["validation/loss"] = dict(enumerate(losses, 1))
        with styled():
            drawn = contents(source([final])).pictures["convergence"].draw("page")
            lay_out(drawn, "")
            loss = drawn.axes[0]
            assert all(tick == round(tick) for tick in visible(loss.get_xticks(), loss.get_xlim()))
            low, high = loss.get_ylim()
            labels = [label for label in loss.get_yticklabels() if low <= label.get_position()[1] <= high]
            boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.y0)
            assert len(boxes) >= 2
            assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(boxes))


def visible(ticks, limits):
    return [tick for tick in ticks if limits[0] <= tick <= limits[1]]


def test_a_learning_rate_of_another_name_is_the_learning_rate_of_its_optimizer():
    rate = {"optimizer.learning_rate": Range(low=0.01, high=1.0, log=True)}
    definition = changed(optimizers=("mine",), spaces={"mine": rate})
    runs = pd.DataFrame(
        {
            "run_id": ["id"],
            "optimizer": ["mine"],
            "stage": ["trial"],
            "outcome": ["completed"],
            "validation_accuracy": [0.8],
        }
    )
    settings = {"id": {"optimizer.learning_rate": 0.9, "batch_size": 32}}
    at_ends = edges(settings["id"], definition.searched("mine"))
    winners = {"mine": (Winner("mine", 1, 0, "id", 0.8, None, settings["id"], at_ends, is_start=False),)}
    found = learning_rates(runs, settings, winners, definition)
    assert found.points["mine"][0].value == 0.9
    assert found.at_edge == {"mine": "widen above"}
    assert list(slices(runs, settings, definition).points) == ["batch_size"]


def test_the_majoritys_share_is_drawn_and_said_and_where_it_is_in_the_window_there_too():
    finals = {"adam": {0: 0.5, 1: 0.6}}
    for share, within in ((0.25, False), (0.55, True)):
        record = final_accuracy(summary([0.5, 0.6]), finals, ["adam"], SMALL, Majority("cat", share))
        assert record.finding.endswith(f"Always saying class cat would give {share:.2%}.")
        strip, axis = record.draw("page").axes
        assert f"dotted: always the majority class cat, {share:.2%}" in strip.get_title()
        line = [100 * share, 100 * share]
        assert line in [list(each.get_xdata()) for each in strip.lines]
        assert (line in [list(each.get_xdata()) for each in axis.lines]) == within
    unknown = final_accuracy(summary([0.5, 0.6]), finals, ["adam"], SMALL, None)
    assert "dotted" not in unknown.draw("page").axes[0].get_title()


def test_classes_without_test_images_are_in_no_figure_and_no_table_and_are_said():
    said = contents(source(of_mistakes=untested(3)))
    assert "3" not in said.tables["classes"]["class"].tolist()
    record = said.pictures["classes"]
    assert "class 0 is the hardest, at 100.00%" in record.finding
    assert record.finding.endswith("Without test images, and left out: 3.")
    labels = [text.get_text() for text in record.draw("page").axes[0].get_yticklabels()]
    assert labels == list("012456789")


@pytest.mark.slow
def test_rows_of_features_have_no_gallery_and_their_mistakes_are_said():
    rows = mistakes(2)
    rows = rows.model_copy(
        update={"most_confident": tuple(each.model_copy(update={"pixels": ""}) for each in rows.most_confident)}
    )
    files = build_report(source(of_mistakes=lambda _: rows)).files
    assert not any("figures/mistakes" in name for name in files)
    for name in ("report.html", "report.md"):
        assert "Rows of features have no picture." in files[name].decode()
        assert "row 0, 3 taken for 5" in files[name].decode()
