"""Seconds per epoch are those of all finals, and an optimizer is called faster only if their spread allows it."""

import pandas as pd
import pytest

from reports.pace import pace_frame, pace_in_words

NONE = "No optimizer is shown to be faster than another."


def runs(**seconds):
    rows = [(name, "final", each) for name, values in seconds.items() for each in values]
    return pd.DataFrame(rows, columns=["optimizer", "stage", "train_seconds"])


def test_the_pace_is_the_mean_of_all_finals_with_its_interval():
    pace = pace_frame(runs(adam=[12.0, 10.0, 11.0], sgd=[9.0, 9.5, 10.0]))
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
    assert pace_in_words(pace_frame(runs(**seconds))).endswith(said)


def test_there_is_no_sentence_if_nothing_was_timed():
    assert pace_in_words(pace_frame(runs())) == ""
