"""A figure draws the numbers of the tables, on their scale."""

import pandas as pd
import pytest

from reports.figures import final_accuracy
from reports.statistics import summarize


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_points_mean_and_interval_are_drawn_in_percent(seeds):
    accuracies = [0.984, 0.985, 0.987, 0.986, 0.983][:seeds]
    runs = pd.DataFrame({"test_accuracy": accuracies}).assign(optimizer="adam", stage="final", outcome="completed")
    (axis,) = final_accuracy(runs, ["adam"], ["adam"]).axes
    points, *lines = [list(line.get_xdata()) for line in axis.lines]
    assert points == pytest.approx([100 * each for each in accuracies])
    summary = summarize(accuracies)
    expected = [[summary.mean, summary.mean]] if seeds > 1 else []
    expected += [[summary.low, summary.high]] if seeds > 2 else []
    assert len(lines) == len(expected)
    for drawn, fractions in zip(lines, expected, strict=True):
        assert drawn == pytest.approx([100 * each for each in fractions])
    assert [text.get_text() for text in axis.get_yticklabels()] == ["adam*"]
