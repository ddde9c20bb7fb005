"""Seconds per epoch are those of all finals, and an optimizer is called faster only if their spread allows it."""

import numpy as np
import pandas as pd
import pytest

from reports.pace import pace_frame, pace_in_words
from studies.requirements import SEEDS_APART

NONE = "No optimizer is shown to be faster than another."


def runs(**seconds):
    """Return the finals with these seconds per epoch; those of a replicate are in a list of their own."""
    rows = [
        (name, "final", replicate, str(SEEDS_APART * (replicate - 1) + seed), each)
        for name, values in seconds.items()
        for replicate, of in enumerate(values if values and isinstance(values[0], list) else [values], 1)
        for seed, each in enumerate(of, 1)
    ]
    return pd.DataFrame(rows, columns=["optimizer", "stage", "replicate", "seed", "train_seconds"])


def test_the_pace_is_the_mean_of_all_finals_with_its_interval():
    pace = pace_frame(runs(adam=[12.0, 10.0, 11.0], sgd=[9.0, 9.5, 10.0]), 1)
    assert pace["optimizer"].tolist() == ["sgd", "adam"]
    assert pace["mean"].tolist() == [9.5, 11.0]
    assert pace["low"].tolist() == pytest.approx([9.5 - 4.302653 * 0.5 / 3**0.5, 11 - 4.302653 * 1 / 3**0.5])


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        ({"adam": [11.2, 11.4, 11.3, 11.2], "sgd": [10.0, 10.1, 10.0, 10.2]}, "Shown to be faster: sgd than adam."),
        (
            {"adam": [11.0, 9.0, 12.0, 14.0], "sgd": [10.0, 12.0, 9.0, 13.0]},
            "No optimizer is shown to be faster than another.",
        ),
        (
            {"adam": [10.1, 10.0, 10.1, 10.0], "sgd": [10.0, 10.1, 10.1, 10.0]},
            "all are equally fast, within 10%.",
        ),
        ({"adam": [11.36], "sgd": [11.21]}, NONE),
        ({"adam": [2.0]}, "An epoch of adam takes 2 s."),
    ],
)
def test_an_optimizer_is_called_faster_only_if_its_finals_show_it(seconds, said):
    assert pace_in_words(pace_frame(runs(**seconds), 1), 1).endswith(said)


def test_there_is_no_sentence_if_nothing_was_timed():
    assert pace_in_words(pace_frame(runs(), 1), 1) == ""


def test_finals_of_one_replicate_are_one_unit_of_the_pace():
    # each winner has a batch size of its own, so its finals are alike and those of other replicates are not
    seconds = {"adam": [[10.0, 10.1], [14.0, 14.1], [12.0, 12.1]], "sgd": [[9.0, 9.1], [7.0, 7.1], [13.0, 13.1]]}
    pace = pace_frame(runs(**seconds), 3)
    assert pace["mean"].tolist() == pytest.approx([29.15 / 3, 12.05])
    assert pace["units"].tolist()[1] == pytest.approx({1: 10.05, 2: 14.05, 3: 12.05})
    assert pace["low"].tolist()[1] == pytest.approx(12.05 - 4.302653 * 2 / 3**0.5)
    assert pace_in_words(pace, 3).endswith(NONE)
    first = pace_frame(runs(adam=[[11.2, 11.3, 11.2, 11.3]], sgd=[[10.0, 10.1, 10.0, 10.2]]), 3)
    assert first["low"].isna().all()
    assert pace_in_words(first, 3).endswith(NONE), "one replicate of three is too few"
    apart = {"adam": [[12.0, 12.1], [12.4, 12.3], [12.2, 12.1]], "sgd": [[10.0, 10.1], [10.4, 10.3], [10.1, 10.1]]}
    assert pace_in_words(pace_frame(runs(**apart), 3), 3).endswith("Shown to be faster: sgd than adam.")


def test_an_optimizer_without_a_replicate_hides_no_comparison_of_the_others():
    apart = {"adam": [[12.0, 12.1], [12.4, 12.3], [12.2, 12.1]], "sgd": [[10.0, 10.1], [10.4, 10.3], [10.1, 10.1]]}
    pace = pace_frame(runs(**apart, adagrad=[[11.0], [], [11.1]]), 3)
    said = pace_in_words(pace, 3, ["adagrad"])
    assert said.endswith(" (adagrad not compared: no timed final in a replicate). Shown to be faster: sgd than adam.")
    whole = pace_frame(runs(**apart, adagrad=[[8.0], [8.1], [8.05]]), 3)
    assert "adagrad than " in pace_in_words(whole, 3, ["adagrad"]), "it lost a final, but has been timed"
    begun = pace_frame(runs(adam=[*apart["adam"], [12.1]], sgd=apart["sgd"]), 4)
    assert pace_in_words(begun, 4).endswith("Shown to be faster: sgd than adam."), "a replicate is under way"
    assert pace_in_words(pace, 3, ["adagrad", "adam", "sgd", "muon"]).endswith(NONE), "none has lost less"
    equal = pace_frame(runs(adam=apart["sgd"], sgd=apart["sgd"][::-1], adagrad=[[11.0], [], [11.1]]), 3)
    said = pace_in_words(equal, 3, ["adagrad"])
    assert said.endswith(
        "(adagrad not compared: no timed final in a replicate): all others are equally fast, within 10%."
    )


def test_optimizers_without_a_replicate_in_common_are_not_called_equally_fast():
    pace = pace_frame(runs(adam=[[10.0, 10.1]], sgd=[[], [10.0, 10.1]]), 3)
    assert pace_in_words(pace, 3).endswith(NONE)


@pytest.mark.long
def test_optimizers_of_equal_pace_are_rarely_called_faster_however_the_winners_batch_sizes_fall():
    rng = np.random.default_rng(0)

    def searched():
        """Return four finals of a winner, whose batch size decides most of its seconds."""
        return (10 * rng.choice([1, 1.5, 2]) * np.exp(0.02 * rng.normal(size=4))).tolist()

    sweeps = [
        runs(**{name: [searched() for _ in range(3)] for name in ("adam", "sgd", "rmsprop")}) for _ in range(200)
    ]

    def claimed(replicates):
        said = [pace_in_words(pace_frame(each, replicates), replicates) for each in sweeps]
        return np.mean(["Shown to be faster" in each for each in said])

    assert claimed(3) <= 0.05
    assert claimed(1) > 0.2, "with each final as a unit"
