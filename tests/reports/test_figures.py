"""Each figure holds the numbers of the tables, states its finding, and draws on the right scale."""

import base64
import itertools
import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness.colours import COLOURS
from harness.config import DatasetConfig, MLPConfig, OwnDatasetConfig
from harness.errors import BadInputError
from harness.records import Mistakes, Stage, Tag
from reports.columns import NOTHING, Table
from reports.contents import contents
from reports.figures.card import card
from reports.figures.registry import FIGURES
from reports.figures.style import WIDTHS, drawable, lay_out, logarithmic, looks, panels, styled
from reports.figures.svg import formats_of, render
from reports.figures.tuning import LEAST_FOR_IMPORTANCE
from reports.figures.two_sweeps import two_sweeps
from reports.optimizers import IN_MLFLOW, ON_PAGE, ON_TERMINAL
from reports.page import build_report, card_of
from reports.statistics import summarize, sweep_changes
from reports.trajectories import median_lines
from studies.search.importance import FEWEST
from studies.space import Range
from studies.verdicts import Verdict
from tests.reports.sweeps import CHILDREN, DEFINITION, changed, config, mistakes, replicated, run, source, untested
from tests.tiny import one_figure

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
    long = contents(replicated({"schedule_free_adamw": 0.985, "an_optimizer_of_my_own": 0.98})).pictures
    of_long_names = {f"{name}, long names": each for name, each in long.items()}
    return said.pictures | several().pictures | of_long_names | {"comparison": both}


def several(**changes):
    """Return the contents for three replicates of two finals, with SGD half a point below Adam."""
    return contents(replicated({"adam": 0.985, "sgd": 0.98}, **changes))


def contrast(one: str, other: str) -> float:
    """Return WCAG's contrast ratio of two colours."""

    def luminance(colour):
        parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_every_colour_stands_out_on_white_and_on_the_dark_page():
    assert all(contrast(colour, ground) >= 3 for colour in COLOURS for ground in ("#ffffff", "#16161a"))


@pytest.mark.parametrize(
    "names", [["adamw", "nadam", "lion", "muon", "schedule_free_adamw", "prodigy"], [f"mine {n}" for n in range(8)]]
)
def test_eight_optimizers_at_most_have_a_colour_each(names):
    assert len({look.colour for look in looks(names).values()}) == len(names)
    assert looks(["adam", *names])["adam"] == looks(["adam"])["adam"], "the chapter's keep theirs"


def test_the_median_of_runs_that_were_measured_at_different_places_does_not_jump_between_them():
    places = {"batch 32": [100.0, 200.0, 400.0], "batch 64": [110.0, 210.0, 390.0]}
    rows = [
        ("adam", run, x, height / x) for height, (run, xs) in zip((1, 9), places.items(), strict=True) for x in xs
    ]
    data = pd.DataFrame(rows, columns=["optimizer", "run_id", "images", "value"])
    line = median_lines(data, "images")
    assert line["images"].tolist() == pytest.approx([110, 200, 210, 390, 400]), "only where all runs have begun"
    assert line["value"].tolist()[:4] == pytest.approx([3 / x for x in line["images"][:4]]), "half way in logarithms"


def test_the_median_line_goes_on_without_a_run_that_diverged():
    rows = [("adam", "whole", x, 1 / x) for x in (100.0, 200.0, 400.0)] + [("adam", "diverged", 50.0, 3.0)]
    line = median_lines(pd.DataFrame(rows, columns=["optimizer", "run_id", "images", "value"]), "images")
    assert line["images"].tolist() == pytest.approx([100, 200, 400])
    assert line["value"].tolist() == pytest.approx([1 / 100, 1 / 200, 1 / 400])


def test_an_optimizer_always_has_the_same_look_and_shares_it_with_no_other():
    together = looks([*OPTIMIZERS, "mine"])
    assert len({(each.colour, each.marker) for each in together.values()}) == 12
    assert len({each.colour for each in looks(OPTIMIZERS[:5]).values()}) == 5
    assert all(looks([name])[name] == together[name] for name in OPTIMIZERS)


@pytest.mark.parametrize(
    ("name", "drawn"), [("adam", "adam"), ("a$b", r"a\$b"), ("\U0001f525", "□"), ("x" * 300, "x" * 19 + "…")]
)
def test_any_name_can_be_drawn(name, drawn):
    assert drawable(name) == drawn


@pytest.mark.long
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


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_every_final_its_mean_and_interval_are_drawn_in_percent(seeds):
    accuracies = [0.984, 0.985, 0.987, 0.986, 0.983][:seeds]
    children = [run("adam", "final", seed, [accuracy]) for seed, accuracy in enumerate(accuracies)]
    picture = contents(source(children)).pictures["final-accuracy"]
    assert sorted(picture.data["test_accuracy"]) == pytest.approx(sorted(100 * each for each in accuracies))
    (axis,) = picture.draw("page").axes
    shown = [list(line.get_xdata()) for line in axis.lines]
    of = summarize(accuracies)
    expected = [[of.mean, of.mean]] + ([[of.low, of.high]] if seeds > 2 else [])
    assert shown == [pytest.approx([100 * each for each in ends]) for ends in expected]
    assert sorted(axis.collections[0].get_offsets()[:, 0]) == pytest.approx(sorted(100 * each for each in accuracies))


@pytest.mark.parametrize(("least", "said"), [(0.98, True), (0.0, False)])
def test_a_scale_of_accuracy_that_does_not_begin_at_0_says_so(least, said):
    finals = [run("adam", "final", seed, [accuracy]) for seed, accuracy in enumerate((least, 0.99))]
    (axis,) = contents(source(finals)).pictures["final-accuracy"].draw("page").axes
    assert ("not from 0" in axis.get_xlabel()) is said


def test_an_optimizer_that_is_not_fully_tuned_has_a_star():
    (axis,) = contents(source()).pictures["final-accuracy"].draw("page").axes
    assert [text.get_text() for text in axis.get_yticklabels()] == ["adam*", "sgd"]


def test_the_differences_are_those_of_the_verdicts_beside_the_margin():
    said = several()
    picture = said.pictures["differences"]
    (pair,) = said.computed.verdicts.accuracy
    (row,) = picture.data.to_dict("records")
    assert (row["better"], row["worse"], row["verdict"]) == ("adam", "sgd", Verdict.BETTER)
    assert (row["low"], row["difference"], row["high"]) == (100 * pair.low, 100 * pair.difference, 100 * pair.high)
    assert picture.finding == "Of 1 pair: 1 better."
    (axis,) = picture.draw("page").axes
    shaded = axis.patches[0]
    assert (shaded.get_x(), shaded.get_width()) == pytest.approx((-0.2, 0.4))


@pytest.mark.long
def test_differences_without_an_interval_are_left_out_for_the_reason_that_applies():
    equal = equal_finals().left_out
    assert "differences (no pair has an interval: its finals do not vary, or did not complete)" in equal
    two = equal_finals(seeds=(1, 2)).left_out
    assert "differences (too few finals for an interval)" in two


def test_figures_of_a_single_final_or_of_lost_finals_alone_are_left_out_for_the_reason_that_applies():
    assert any("with 1 final the true share can still be 95%" in each for each in equal_finals(seeds=(1,)).left_out)
    lost = contents(source([run("adam", "final", 1, [0.9], "diverged")])).left_out
    assert "convergence (no final was measured that did not diverge or fail)" in lost


def test_the_figure_of_differences_says_if_pairs_are_missing():
    lost = contents(replicated({"adam": 0.985, "rmsprop": 0.983, "sgd": 0.98}, lost=1)).pictures["differences"]
    assert len(lost.data) == 1
    assert lost.finding.startswith("Of 3 pairs: ")
    assert lost.finding.endswith(" Pairs without an interval are not shown.")
    assert "not shown" not in several().pictures["differences"].finding


@pytest.mark.parametrize(("added", "confidence"), [(0, "95%"), (1, "90%")])
def test_no_figure_of_differences_claims_more_than_the_sweeps_joint_confidence(added, confidence):
    of = replicated({"adam": 0.985, "sgd": 0.98})
    said = contents(replace(of, definition=of.definition.model_copy(update={"looks": (2, 3), "added_looks": added})))
    with styled():
        drawn = card(said.computed, "title", said.answer[0], said.pictures["differences"])
    assert drawn.axes[0].get_xlabel().endswith(f"simultaneous {confidence} intervals")
    (caption,) = (row.caption for row in FIGURES if row.name == "differences")
    assert not re.search(r"\d", caption), "how sure they are depends on the sweep"


@pytest.mark.parametrize(
    ("name", "accuracy"),
    [("final-accuracy", 0.98), ("final-accuracy", 1.0), ("classes", 1.0), ("tuning-gains", 0.999)],
)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_scale_has_accuracies_that_are_impossible(name, accuracy, width):
    names = ("sgd", "adam")
    finals = [
        run(each, stage, seed, [0.5, accuracy]) for each in names for stage in ("final", "start") for seed in (1, 2)
    ]
    for each in finals:
        each.history["test/accuracy"] = {1: 0.5, 2: accuracy}
    said = contents(source(finals, changed(start_finals=True), untested(3)))
    with styled():
        (axis,) = said.pictures[name].draw(width).axes
    low, high = axis.get_xlim()
    assert max(tick for tick in axis.get_xticks() if low <= tick <= high) <= 100
    assert high > 100 * accuracy, "there is room for a whole marker"


def test_an_interval_that_is_not_drawn_is_not_in_the_legend_of_the_scale():
    labels = []
    for said in (equal_finals(), several()):
        with styled():
            (axis,) = said.pictures["final-accuracy"].draw("page").axes
        labels.append(axis.get_xlabel())
    assert [label.endswith("below: its 95% interval") for label in labels] == [False, True]


@pytest.mark.parametrize(
    ("subset", "expected"), [(False, ""), (True, "subset of the data: these accuracies mean nothing")]
)
def test_the_card_warns_of_a_subset_which_makes_its_answer_mean_nothing(subset, expected, monkeypatch):
    of = replicated({"adam": 0.985, "sgd": 0.98})
    said = contents(replace(of, definition=of.definition.model_copy(update={"subset": subset})))
    drawn = []
    monkeypatch.setattr("reports.page.render", lambda figure, *_, **__: drawn.append(figure) or b"")
    card_of(said)
    assert drawn[0].texts[-1].get_text() == expected


def test_no_interval_without_width_is_shown_of_finals_that_do_not_vary():
    for said in (equal_finals(), contents(replicated({"adam": 0.985, "sgd": 0.98}, noise=0.0))):
        rows = said.summary.to_dict("records")
        for columns, shown in ((ON_TERMINAL, ""), (ON_PAGE, NOTHING), (IN_MLFLOW, NOTHING)):
            at = [each.label for each in columns].index("95% interval")
            assert {cells[at] for cells in Table("", columns, rows).cells} == {shown}


def test_too_few_finals_leave_out_the_differences_and_say_why():
    assert "differences (too few finals for an interval)" in contents(source()).left_out


@pytest.mark.long
def test_with_many_optimizers_only_the_pairs_of_the_best_are_shown():
    rng = np.random.default_rng(1)
    children = [
        run(name, "final", seed, [0.98 - index / 1000 + 0.0005 * rng.normal()])
        for index, name in enumerate(OPTIMIZERS)
        for seed in range(8)
    ]
    said = contents(source(children, changed(optimizers=tuple(OPTIMIZERS), final_seeds=tuple(range(8)))))
    shown = said.pictures["differences"].data
    assert len(shown) == len(OPTIMIZERS) - 1
    best = said.summary["optimizer"][0]
    assert all(best in (row["better"], row["worse"]) for row in shown.to_dict("records"))
    assert said.pictures["differences"].finding.endswith(
        f"Shown are only the pairs of {best}, which has the highest mean."
    )


@pytest.mark.long
@pytest.mark.parametrize("lost", [False, True])
def test_with_many_optimizers_the_pairs_shown_are_those_of_the_best_that_is_judged(lost):
    rng = np.random.default_rng(1)
    children = [
        run(name, "final", seed, [0.98 - index / 1000 + 0.0005 * rng.normal()])
        for index, name in enumerate(OPTIMIZERS[:8])
        for seed in range(3)
    ]
    first = replace(children[0], tags=children[0].tags | {Tag.OUTCOME: "diverged"} if lost else children[0].tags)
    definition = changed(optimizers=tuple(OPTIMIZERS[:8]), final_seeds=(0, 1, 2), spaces={}, space={})
    picture = contents(source([first, *children[1:]], definition)).pictures["differences"]
    best, others, of = ("adagrad", 6, " of those with an interval") if lost else ("sgd", 7, "")
    assert len(picture.data) == others
    assert picture.finding.endswith(f" Shown are only the pairs of {best}, which has the highest mean{of}.")


def test_epochs_of_different_sizes_are_said_to_be_so_beside_their_seconds():
    variants = {
        name: {"optimizer.name": "adam", "dataset.train_size": size} for name, size in (("a", 64), ("b", 640))
    }
    children = [run(name, "final", 1, [0.9]) for name in variants]
    configs = {each.run_id: config(run("adam", "final", 1, [0.9])) for each in children}
    for settings, differ in ((variants, True), (dict.fromkeys(variants, variants["a"]), False)):
        definition = changed(optimizers=("a", "b"), variants=settings, spaces={}, space={})
        said = contents(source(children, definition, configs=configs)).pictures["epoch-seconds"].finding
        assert said.endswith(" Their epochs have different numbers of images.") == differ


def test_gains_are_left_out_for_the_reason_that_applies():
    of = replicated({"adam": 0.98, "sgd": 0.97}, trials=1)
    assert "tuning-gains" in contents(of).pictures
    starts = [each for each in of.runs if each.tags[Tag.STAGE] == Stage.START]
    lost = [replace(each, tags=each.tags | {Tag.OUTCOME: "diverged"}) for each in starts]
    others = [each for each in of.runs if each not in starts]
    elsewhere = [replace(each, tags=each.tags | {Tag.SEED: "7"}) for each in starts]
    reason = "did tuning help? (no seed has a completed final of a winner and of its published start)"
    for runs in ([*others, *lost], others, [*others, *elsewhere]):
        said = contents(replace(of, runs=runs))
        assert "tuning-gains" not in said.pictures
        assert reason in said.left_out


def test_luck_is_shown_for_replicates_only():
    said = several()
    assert said.pictures["luck"].data["source"].tolist()[:2] == ["seed of a final", "search and split"]
    assert said.pictures["luck"].finding == said.computed.luck.in_words
    assert "luck" not in contents(source()).pictures


def test_lost_and_spoilt_finals_are_shown_with_a_bound_or_the_figure_is_named_as_left_out():
    data = several(lost=1, spoilt=1).pictures["reliability"].data.set_index("optimizer")
    assert data.loc["sgd", ["finals", "bad"]].tolist() == [6, 2]
    assert data.loc["sgd", "share"] == pytest.approx(100 / 3)
    assert data.loc["adam", "share"] == 0 < data.loc["adam", "most"] < 50
    sound = several()
    assert "reliability" not in sound.pictures
    assert (
        "reliability (no final was lost or spoilt; with 6 finals the true share can still be 39%)" in sound.left_out
    )


def test_the_gain_of_tuning_is_shown_on_the_same_seeds():
    data = several().pictures["tuning-gains"].data
    assert len(data) == 12
    assert (data["winner"] - data["start"]).tolist() == pytest.approx([0.2] * 12)


def test_convergence_is_the_training_loss_and_the_validation_error_of_every_final():
    data = contents(source()).pictures["convergence"].data
    adam = data[(data["optimizer"] == "adam") & (data["measure"] == "error")]
    assert sorted(adam["value"].round(6)) == [3.0, 4.0, 50.0, 50.0]
    assert set(adam["images"]) == {640, 1280}
    assert set(data.loc[data["measure"] == "training loss", "value"]) == {0.5}
    in_seconds = contents(source()).pictures["convergence-seconds"].data
    assert set(in_seconds["seconds"]) == {0.5, 1.0}
    assert (
        contents(source()).pictures["convergence"].finding.startswith("adam has the lowest median validation error")
    )


def test_training_loss_comes_from_windows_of_steps_if_they_were_recorded():
    final = run("adam", "final", 1, [0.9])
    final.params["dataset.train_size"] = "640"
    final.history["trajectory/train_loss"] = {64: 2.0, 320: 1.0, 640: 0.5}
    final.history["trajectory/validation_accuracy"] = {320: 0.8, 640: 1.0}
    final.history["trajectory/validation_loss"] = {320: 0.7, 640: 0.1}
    configs = {final.run_id: config(run("adam", "final", 1, [0.9]))}
    data = contents(source([final], configs=configs)).pictures["convergence"].data
    losses = data[data["measure"] == "training loss"]
    assert list(zip(losses["epochs"], losses["value"], strict=True)) == [(0.1, 2.0), (0.5, 1.0), (1.0, 0.5)]
    errors = data.loc[data["measure"] == "error", "value"].tolist()
    assert errors == pytest.approx([20.0, 0.0])


def without_an_error():
    """Return the contents for finals of two optimizers that end without an error, and of one that ends with 4%."""
    ends = {"sgd": [0.5, 1.0], "adam": [0.6, 1.0], "adagrad": [0.5, 0.96]}
    finals = [run(name, "final", seed, accuracies) for name, accuracies in ends.items() for seed in (1, 2)]
    trials = [run(name, "trial", 0, accuracies[1:]) for name, accuracies in ends.items()]
    spaces = dict.fromkeys(ends, DEFINITION.spaces["sgd"])
    return contents(source([*trials, *finals], changed(optimizers=tuple(ends), spaces=spaces)))


@pytest.mark.long
def test_an_error_of_0_is_stated_as_0_and_optimizers_with_equal_errors_together():
    assert without_an_error().pictures["convergence"].finding == (
        "adam, sgd have the lowest median validation error at the end, 0.00%; after the first epoch it is adam, "
        "40.00%. An error of 0 is drawn at the lower end."
    )
    assert "An error of 0" not in contents(source()).pictures["convergence"].finding


@pytest.mark.parametrize("name", ["convergence", "cost", "learning-rates", "slices"])
def test_an_error_of_0_is_drawn_at_half_of_the_lowest_other_error(name):
    picture = without_an_error().pictures[name]
    assert picture.finding.endswith("An error of 0 is drawn at the lower end.")
    axis = picture.draw("page").axes[-1 if name == "convergence" else 0]
    lines = [line.get_ydata() for line in axis.lines if line.get_transform() == axis.transData]
    marks = [marks.get_offsets()[:, 1] for marks in axis.collections]
    shown = np.concatenate([*lines, *marks]).astype(float)
    least = shown[shown < 2.1]
    assert least.tolist() == pytest.approx([2.0] * len(least))
    assert len(least) > 0
    assert axis.get_ylim()[0] < 2


def test_a_training_loss_of_0_in_all_finals_is_drawn_at_the_least_that_a_logarithmic_scale_shows():
    finals = [run(name, "final", 1, [0.9, 1.0]) for name in ("sgd", "adam")]
    for each in finals:
        each.history["train/loss"] = {1: 0.0, 2: 0.0}
    picture = contents(source(finals)).pictures["convergence"]
    assert picture.finding.endswith(" A training loss below 1e-06 is drawn there.")
    for width in WIDTHS:
        with styled():
            axis = picture.draw(width).axes[0]  # without a warning of matplotlib's
        low, high = axis.get_ylim()
        assert low < 1e-6 < high < 2e-6
    assert "is drawn there" not in contents(source()).pictures["convergence"].finding


def test_convergence_is_on_the_test_set_without_validation():
    alone = run("adam", "final", 1, [0.9, 0.95])
    for measure in ("validation/loss", "validation/accuracy"):
        del alone.history[measure]
    assert "test error" in contents(source([alone])).pictures["convergence"].finding


def test_the_means_that_no_other_surpasses_in_error_and_time_are_named():
    slow = run("adam", "final", 1, [0.9, 0.98])
    slow.history["seconds/train"] = {1: 2.0, 2: 2.0}
    fast, beaten = run("sgd", "final", 1, [0.9, 0.95]), run("adagrad", "final", 1, [0.9, 0.94])
    beaten.history["seconds/train"] = {1: 1.0, 2: 1.0}
    said = contents(source([slow, fast, beaten], changed(optimizers=("sgd", "adagrad", "adam"))))
    assert (
        said.pictures["cost"].finding
        == "No optimizer surpasses these in both mean error and training time: sgd, adam."
    )
    seconds = said.pictures["cost"].data.set_index("optimizer")["seconds"].to_dict()
    assert seconds == {"sgd": 1.0, "adagrad": 2.0, "adam": 4.0}


def equal_finals(lower=(), seeds=(1, 2, 3)):
    """Return the contents for finals of four optimizers that are equal, except those in `lower`."""
    names = ("sgd", "momentum", "adam", "rmsprop")
    ends = {name: 0.8 if name in lower else 0.98 for name in names}
    children = [run(name, "final", seed, [0.5, end]) for name, end in ends.items() for seed in seeds]
    return contents(source(children, changed(optimizers=names, final_seeds=seeds)))


def test_optimizers_with_equal_accuracy_and_cost_are_named_together_in_every_figure():
    pictures = equal_finals(lower=("momentum", "rmsprop")).pictures
    assert pictures["final-accuracy"].finding.startswith(
        "sgd, adam have the highest mean test accuracy, 98.00% over 3 seeds; momentum, rmsprop the lowest, 80.00%."
    )
    assert pictures["cost"].finding == (
        "No optimizer surpasses these in both mean error and training time: sgd, adam."
    )
    same = equal_finals().pictures["final-accuracy"].finding
    assert same.startswith("sgd, momentum, adam, rmsprop have the highest mean test accuracy, 98.00% over 3 seeds.")
    assert "the lowest" not in same


def test_an_optimizer_alone_is_not_called_the_highest_or_the_lowest():
    pictures = contents(source([run("adam", "final", seed, [0.9, 0.95]) for seed in (1, 2)])).pictures
    assert pictures["final-accuracy"].finding.startswith(
        "adam has a mean test accuracy of 95.00% over 2 seeds. Always"
    )
    said = "adam has a median validation error of 5.00% at the end; after the first epoch 10.00%."
    assert pictures["convergence"].finding == said


def test_optimizers_that_are_equally_often_the_fastest_are_named_together():
    found = equal_finals(lower=("momentum",), seeds=tuple(range(1, 9)))
    assert found.pictures["performance-profile"].finding == (
        "sgd, adam, rmsprop are each the fastest in 50% of the 32 combinations of target and seed; "
        "sgd, adam, rmsprop each reach the target in the most of them, 50%."
    )


def test_no_optimizer_is_called_the_fastest_where_none_reached_a_target():
    found = equal_finals(lower=("sgd", "momentum", "adam", "rmsprop"), seeds=tuple(range(1, 9)))
    assert "performance-profile" not in found.pictures
    assert "time to a target (no final reached one)" in found.left_out


def test_optimizers_that_reach_a_target_at_the_same_point_are_named_together():
    said = contents(source()).pictures["time-to-target"].finding
    assert said.startswith("50.0%: the lowest median is 640 images (adam, sgd); 68.8%: ")


def test_targets_are_said_to_come_from_tuning_only_if_they_do():
    tuned = contents(source()).pictures["time-to-target"].finding
    assert tuned.endswith(
        "The targets are validation accuracies, multiples of the winners' validation error in tuning."
    )
    perfect = [run(name, "trial", 0, [1.0]) for name in ("adam", "sgd")]
    finals = [run(name, "final", 1, [0.5, 0.9995]) for name in ("adam", "sgd")]
    for children in (finals, [*perfect, *finals]):
        said = contents(source(children)).pictures["time-to-target"].finding
        assert said.endswith("The targets are validation accuracies, declared for the dataset.")
    own = OwnDatasetConfig(name="tests.own.shapes:bars", train_size=640, validation_size=160, test_size=160)
    of_own = changed(base=DEFINITION.base.model_copy(update={"dataset": own}))
    said = contents(source(finals, of_own)).pictures["time-to-target"].finding
    assert said.endswith("The targets are validation accuracies, the same for all own data.")
    for final in finals:
        for measure in ("validation/loss", "validation/accuracy"):
            del final.history[measure]
    assert "The targets are test accuracies," in contents(source(finals)).pictures["time-to-target"].finding


def test_a_target_that_was_never_reached_is_shown_as_such():
    slow = run("sgd", "final", 1, [0.5, 0.6])
    picture = contents(source([run("adam", "final", 1, [0.5, 0.9995]), slow])).pictures["time-to-target"]
    last = picture.data["target"].max()
    reached = picture.data[picture.data["target"] == last].set_index("optimizer")["images"].to_dict()
    assert reached == {"adam": 1280.0, "sgd": math.inf}
    assert f"{last:.1%}: the lowest median is 1,280 images (adam)" in picture.finding
    with styled():
        axis = picture.draw("page").axes[-1]
    assert axis.get_title("left") == f"{100 * last:g}%"
    stays = next(line for line in axis.lines if line.get_color() == looks(["sgd"])["sgd"].colour)
    shown = [y for x, y in zip(*stays.get_data(), strict=True) if x <= 1280]
    assert min(shown) == 100, "it has not reached the target when its training ends"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_warning_stands_above_the_legend_and_leaves_the_panels_as_they_are(width):
    picture = contents(source()).pictures["cost"]
    with styled():
        plain, warned = picture.draw(width), picture.draw(width)
        lay_out(plain, "")
        lay_out(warned, "subset of the data")
        legend, warning = warned.legends[0].get_window_extent(), warned.texts[-1].get_window_extent()
    assert warned.texts[-1].get_text() == "subset of the data"
    assert legend.y1 <= warning.y0 < warning.y1 <= warned.bbox.y1
    for one, other in zip(plain.axes, warned.axes, strict=True):
        assert one.get_window_extent().bounds == pytest.approx(other.get_window_extent().bounds)
    assert plain.legends[0].get_window_extent().bounds == pytest.approx(legend.bounds)


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("missed", [(), ("adam",), ("adam", "sgd")])
def test_an_optimizer_with_a_final_that_missed_the_target_has_no_mean_against_images(missed, lost):
    children = [run(name, "trial", 0, [0.9]) for name in ("adam", "sgd")]
    for name, seed in itertools.product(("adam", "sgd"), (1, 2, 3)):
        misses = name in missed and seed > 1
        accuracies = [0.5, 0.6] if misses else [0.85, 0.9] if name == "adam" else [0.5, 0.92]
        children.append(run(name, "final", seed, accuracies, "diverged" if misses and lost else "completed"))
    picture = contents(source(children, changed(final_seeds=(1, 2, 3)))).pictures["cost"]
    finals = [6 - 2 * len(missed) * lost, 6 - 2 * len(missed)]
    expected = [images for name, images in (("adam", 640), ("sgd", 1280)) if name not in missed]
    for width in WIDTHS:
        with styled():
            seconds, images = picture.draw(width).axes
        assert [len(axis.collections[0].get_offsets()) for axis in (seconds, images)] == finals
        assert len(seconds.collections[1].get_offsets()) == 2
        means = [x for each in images.collections[1:] for x, _ in each.get_offsets()]
        assert sorted(means) == expected
        assert {x for line in images.lines for x in line.get_xdata()} <= {*expected}, "nor is it in the front"
        said = ["(no mean if" in " ".join(axis.get_xlabel().split()) for axis in (seconds, images)]
        assert said == [False, bool(missed)]


def test_a_final_that_missed_the_target_stays_in_sight_against_seconds():
    children = [run(name, "trial", 0, [0.9]) for name in ("adam", "sgd")]
    children += [run("adam", "final", 1, [0.5, 0.6]), run("sgd", "final", 1, [0.5, 0.92])]
    with styled():
        seconds, _ = contents(source(children)).pictures["cost"].draw("page").axes
    low, high = seconds.get_ylim()
    assert low < 8 < 40 < high


def test_images_to_a_target_are_those_of_each_variants_own_training_set():
    sizes = {"half": 320, "whole": 640}
    children = [
        *(run(name, "trial", 0, [0.9]) for name in sizes),
        *(run(name, "final", seed, [0.5, 0.9]) for name in sizes for seed in range(1, 11)),
    ]
    variants = {name: {"dataset.train_size": size} for name, size in sizes.items()}
    definition = changed(optimizers=tuple(sizes), variants=variants, final_seeds=tuple(range(1, 11)))
    pictures = contents(source(children, definition)).pictures
    for name in ("convergence", "time-to-target", "cost"):
        of_each = pictures[name].data.groupby("optimizer")["images"].max()
        assert of_each.to_dict() == {"half": 640, "whole": 1280}, name
    with styled():
        axis = pictures["time-to-target"].draw("page").axes[0]
    assert axis.dataLim.intervalx[1] == 1280, "the scale ends where the longest finals do"
    with styled():
        axis = pictures["convergence"].draw("page").axes[0]
    assert axis.get_xlabel() == "training images seen (log)", "their epochs do not end together"
    assert pictures["performance-profile"].data["factor"].max() == 2, "in the same epoch, with twice the images"


def test_a_profile_counts_targets_that_nobody_reached_and_needs_twenty_problems():
    few = contents(source())
    assert any(each.startswith("performance profile (") for each in few.left_out)
    accuracies = {"adam": [0.5, 0.85], "sgd": [0.85, 0.86]}
    children = [run(name, "final", seed, of) for name, of in accuracies.items() for seed in range(8)]
    said = contents(source([*children, *(run(name, "trial", 0, [0.9]) for name in accuracies)]))
    data = said.pictures["performance-profile"].data
    targets = said.computed.targets
    never = np.isinf(targets["epochs"]).groupby([targets["target"], targets["seed"]]).all().mean()
    assert never > 0
    assert data["share"].max() <= 100 * (1 - never)


def test_a_learning_rate_at_the_edge_is_named_with_its_side():
    record = contents(source()).pictures["learning-rates"]
    assert "adam 0.1 (at an edge: widen above)" in record.finding
    adam = record.data[record.data["optimizer"] == "adam"]
    assert sorted(zip(adam["error"].round(6), adam["won"], strict=True)) == [(30.0, True), (100.0, False)]
    with styled():
        titles = [axis.get_title("left") for axis in record.draw("page").axes]
    assert titles == ["sgd", "adam (edge: widen above)"]


def test_the_published_start_is_a_star_and_colours_show_epochs_trained():
    rates = {"optimizer.lr": Range(low=1e-4, high=0.1, log=True, start=0.001)}
    definition = changed(optimizers=("adam",), space={}, spaces={"adam": rates}, rungs=(0.125, 0.25))
    start, other = run("adam", "trial", 0, [0.9]), run("adam", "trial", 1, [])
    for each, rate in ((start, 0.001), (other, 0.01)):
        each.params.update({"optimizer.lr": str(rate), "dataset.train_size": "640"})
    other.tags["harness.images"] = "88"  # .1375 epochs: batches stop a little after the rung
    other.history["trajectory/validation_accuracy"] = {88: 0.8}
    record = contents(source([start, other], definition)).pictures["learning-rates"]
    by_value = record.data.set_index("value")
    assert by_value["is_start"].to_dict() == {0.001: True, 0.01: False}
    assert by_value["epochs"].to_dict() == {0.001: 1.0, 0.01: 0.125}
    with styled():
        drawn = record.draw("page")
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == [
        "0.125 epoch",
        "1 epoch",
        "published start",
        "winner",
    ]


def trials(**accuracies):
    """Return completed trials with these accuracies by optimizer."""
    return [
        run(name, "trial", number, [accuracy])
        for name, values in accuracies.items()
        for number, accuracy in enumerate(values)
    ]


def test_tuning_curves_are_left_out_for_fewer_than_five_completed_trials_and_for_replicates():
    few = "tuning curves (fewer than 5 completed trials of each optimizer)"
    assert few in contents(source(trials(adam=[0.5] * 4))).left_out
    assert "tuning-curves" in contents(source(trials(adam=[0.5] * 5))).pictures
    replicated = contents(source(trials(adam=[0.5] * 5), changed(replicates=3)))
    assert "tuning curves (shown for a single search only)" in replicated.left_out


@pytest.mark.parametrize(
    "found", [{"adam": [0.97, 0.98, 0.99, 0.99, 0.99], "sgd": [0.3, 0.37] * 3}, {"adam": [0.37] * 5}]
)
def test_the_scale_covers_the_results_of_all_searches(found):
    curves = contents(source(trials(**found))).pictures["tuning-curves"]
    with styled():
        for width in WIDTHS:
            drawn = curves.draw(width)
            lay_out(drawn, "")
            (axis,) = drawn.axes
            drawn.canvas.draw()
            low, high = axis.get_ylim()
            assert all(low < 100 * max(values) < high for values in found.values())
            assert axis.yaxis.get_offset_text().get_text() == ""


def test_confusions_are_those_of_the_optimizer_whose_finals_validated_best_and_the_worst_is_named():
    record = contents(source()).pictures["confusion"]
    assert (record.data.loc["3", "5"], record.data.loc["3", "3"]) == (4, 16)
    assert (
        record.finding == "adam gets 4 of 200 test images wrong over 2 seeds; most often it takes 3 for 5, 4 times."
    )
    children = [*CHILDREN]
    for each in children:
        if each.run_id.startswith("adam-final"):
            children[children.index(each)] = other = replace(each, history={**each.history})
            other.history["validation/accuracy"] = {1: 0.1, 2: 0.1}
    assert contents(source(children)).pictures["confusion"].finding.startswith("sgd gets 6 of 200")


def test_accuracy_by_class_is_of_all_seeds_together():
    data = contents(source()).pictures["classes"].data.set_index(["class", "optimizer"])["right"]
    assert (data["3", "adam"], data["3", "sgd"]) == (pytest.approx(80.0), pytest.approx(70.0))
    assert (
        contents(source())
        .pictures["classes"]
        .finding.startswith("Over all optimizers, class 3 is the hardest (75.00% correct)")
    )


def test_the_most_confident_mistakes_are_shown_with_truth_and_prediction():
    with styled():
        axes = contents(source()).pictures["mistakes"].draw("page").axes
    assert [axis.get_title("center") for axis in axes if axis.images] == ["3 → 5\n90.0%", "3 → 5\n89.0%"]


def test_scales_have_labels_that_do_not_touch():
    for losses in ([0.5], [0.055, 0.1], [0.05, 2.3]):
        final = run("adam", "final", 1, [0.9] * len(losses))
        final.history["train/loss"] = dict(enumerate(losses, 1))
        with styled():
            drawn = contents(source([final])).pictures["convergence"].draw("page")
            lay_out(drawn, "")
            loss = drawn.axes[0]
            low, high = loss.get_ylim()
            labels = [label for label in loss.get_yticklabels() if low <= label.get_position()[1] <= high]
            boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.y0)
            assert len(boxes) >= 2
            assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(boxes))


@pytest.mark.parametrize("factor", [3.05, 3.3, 4, 4.9])
@pytest.mark.parametrize("least", [0.0145, 0.012, 0.021, 1450])
def test_a_logarithmic_scale_of_a_narrow_range_has_labels_that_do_not_touch(least, factor):
    with styled():
        drawn, (axis, _) = panels("column", 2, 2.2, most=2)
        axis.scatter([least, least * factor], [1, 2])
        logarithmic(axis, "x")
        lay_out(drawn, "")
        low, high = axis.get_xlim()
        labels = [label for label in axis.get_xticklabels() if low <= label.get_position()[0] <= high]
        boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.x0)
    assert boxes
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_the_majoritys_share_is_in_the_finding_and_drawn_if_it_is_in_range():
    for accuracies, within in (([0.05, 0.15], True), ([0.5, 0.6], False)):
        children = [run("adam", "final", seed, [each]) for seed, each in enumerate(accuracies)]
        record = contents(source(children)).pictures["final-accuracy"]
        assert record.finding.endswith("Always predicting class 0 would give 10.00%.")
        (axis,) = record.draw("page").axes
        assert ([10.0, 10.0] in [list(line.get_xdata()) for line in axis.lines]) == within


def test_drawn_elements_have_their_optimizers_key_and_a_tip():
    picture = contents(source()).pictures["final-accuracy"]
    with styled():
        drawn = picture.draw("page")
        lay_out(drawn, "")
        svg = render(drawn, "svg", "final-accuracy-page").decode()
    adam = looks(["adam"])["adam"].key
    sgd = looks(["sgd"])["sgd"].key
    points = re.findall(r'<(?:use|path)[^>]* data-of="(\w+)"[^>]*><title>', svg)
    assert sorted(points) == sorted([adam, adam, sgd, sgd])
    titles = re.findall("<title>(.*?)</title>", svg)
    assert "adam, seed 1: 96.00%, harness reproduce adam-final-1" in titles
    assert len(titles) == 4
    assert "part-" not in svg
    ids = re.findall(r' id="([^"]*)"', svg)
    assert len(ids) == len(set(ids))


@pytest.mark.long
def test_pngs_and_pdfs_are_made_on_request():
    assert formats_of("svg") == ("svg",)
    assert formats_of("png") == ("svg", "png")
    assert formats_of("all") == ("svg", "png", "pdf")
    with pytest.raises(BadInputError, match="gif"):
        formats_of("svg,gif")
    with one_figure():
        kinds = {name.rpartition(".")[2] for name in build_report(source(), ("svg", "pdf")).files}
    assert {"svg", "pdf"} <= kinds


def test_a_single_run_names_no_figures_of_trials_as_left_out():
    alone = replace(
        source([run("adam", "final", 1, [0.9])], changed(optimizers=("adam",))), importances={}, single=True
    )
    assert not any("trials" in each for each in contents(alone).left_out)
    tried = replace(source(trials(adam=[0.5])), importances={})
    assert "importances (fewer than ten completed trials of each optimizer)" in contents(tried).left_out
    assert LEAST_FOR_IMPORTANCE == FEWEST == 10, "reports can't import Optuna's side"


def test_importances_are_left_out_for_the_reason_that_applies():
    ten = replace(source(trials(adam=[0.5] * 10)), importances={})
    assert "importances (the best trials of no search differ from the others)" in contents(ten).left_out
    stopped = replace(ten, sweep=replace(ten.sweep, tags=ten.sweep.tags | {Tag.OUTCOME: "killed"}))
    assert "importances (computed when the sweep has completed)" in contents(stopped).left_out
    several_searches = replace(replicated({"adam": 0.98, "sgd": 0.97}, trials=4), importances={})
    assert "importances (fewer than ten completed trials of each search)" in contents(several_searches).left_out


@pytest.mark.long
def test_the_card_has_the_size_that_social_networks_show_in_full():
    with one_figure():
        content = build_report(source()).files["card.png"]
    assert (int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")) == (1200, 630)


def test_classes_that_are_equally_hard_or_easy_are_named_together_or_counted():
    said = contents(source()).pictures["classes"].finding
    assert said.endswith(
        "class 3 is the hardest (75.00% correct) and classes 0, 1, 2, 4, 5, 6, 7, 8, 9 the easiest (100.00%)."
    )
    names = tuple(f"class {number}" for number in range(12))
    of = Mistakes(class_names=names, confusion=np.diag([10] * 11 + [0]).tolist(), most_confident=[])
    rows = [list(row) for row in of.confusion]
    rows[11][0] = 10
    of = of.model_copy(update={"confusion": rows})
    said = contents(source(of_mistakes=lambda _: of)).pictures["classes"].finding
    assert "class class 11 is the hardest (0.00% correct) and 11 classes the easiest (100.00%)." in said


def test_confusions_that_are_equally_frequent_are_counted_with_the_one_that_is_named():
    confusion = np.diag([10, 9, 9])
    confusion[1, 0] = confusion[2, 1] = 1
    of = Mistakes(class_names=("a", "b", "c"), confusion=confusion.tolist(), most_confident=[])
    one = contents(source([run("adam", "final", 1, [0.9])], of_mistakes=lambda _: of)).pictures["confusion"].finding
    assert one.endswith("over 1 seed; most often it takes b for a, 1 time, as often as in 1 other pair of classes.")


def test_classes_without_test_images_are_in_no_figure_and_no_table_and_are_named():
    said = contents(source(of_mistakes=untested(3)))
    assert "3" not in said.tables["classes"]["class"].tolist()
    record = said.pictures["classes"]
    assert record.finding.startswith("Over all optimizers, every class is 100.00% correct.")
    assert record.finding.endswith("Classes without test images are left out: 3.")
    labels = [text.get_text() for text in record.draw("page").axes[0].get_yticklabels()]
    assert labels == list("012456789")


def test_mistakes_in_colour_and_of_another_size_are_drawn_as_they_are():
    pixels = base64.b64encode(bytes(range(4 * 5 * 3))).decode()
    first = mistakes(1).most_confident[0].model_copy(update={"pixels": pixels, "shape": (4, 5, 3)})
    said = contents(source(of_mistakes=lambda _: mistakes(1).model_copy(update={"most_confident": (first,)})))
    with styled():
        axes = said.pictures["mistakes"].draw("page").axes
    (image,) = (axis.images[0] for axis in axes if axis.images)
    assert image.get_array().shape == (4, 5, 3)
    assert image.get_array()[3, 4].tolist() == [57, 58, 59]


def test_of_a_hundred_classes_the_most_mistaken_and_the_hardest_are_drawn_and_all_are_in_the_table():
    names = tuple(f"class {number}" for number in range(100))
    confusion = np.diag([100 - number for number in range(100)])
    confusion[range(1, 100), range(99)] += np.arange(1, 100)  # each is taken for the one before, the later the more
    many = Mistakes(class_names=names, confusion=confusion.tolist(), most_confident=[])
    said = contents(source(of_mistakes=lambda _: many))
    matrix, right = said.pictures["confusion"], said.pictures["classes"]
    assert list(matrix.data.columns) == list(matrix.data.index) == list(names[73:99])
    assert matrix.finding.endswith("Shown are the 26 classes with the most mistakes.")
    assert list(dict.fromkeys(right.data["class"])) == list(names[74:])
    assert set(right.data["row"]) == set(range(26))
    assert right.finding.endswith("The 26 hardest of 100 classes are shown.")
    assert len(set(said.tables["classes"]["class"])) == 100
    for record in (matrix, right):
        assert record.draw("page").get_figheight() < 8


@pytest.mark.long
def test_a_table_is_said_to_have_rows():
    table = {"dataset": DatasetConfig(name="wine"), "model": MLPConfig()}
    base = DEFINITION.base.model_copy(update=table)
    said = contents(replace(source(), definition=changed(base=base)))
    assert said.computed.things == "rows"
    assert "of 200 test rows wrong" in said.pictures["confusion"].finding
    assert "rows (adam" in said.pictures["time-to-target"].finding
    page = build_report(replace(source(), definition=changed(base=base))).files["report.html"].decode()
    assert "wine, 88 training rows." in page
    assert "epochs of 88 rows in" in page
    assert not re.search(r"training images|test images", page)


@pytest.mark.slow
def test_rows_of_features_have_no_gallery_and_their_mistakes_are_listed():
    rows = mistakes(2)
    rows = rows.model_copy(
        update={"most_confident": tuple(each.model_copy(update={"pixels": ""}) for each in rows.most_confident)}
    )
    of_rows = source(of_mistakes=lambda _: rows)
    assert "mistakes" in contents(source()).pictures
    assert "mistakes" not in contents(of_rows).pictures
    with one_figure():
        files = build_report(of_rows).files
    for name in ("report.html", "report.md"):
        assert "pictures of mistakes (rows of features have none)" in files[name].decode()
        assert "row 0, 3 taken for 5" in files[name].decode()
