"""Decide by successive halving which trials of a study continue after a rung (Jamieson and Talwalkar 2016).

Optuna's pruner is not used: while it decides, it marks a rung as passed in its storage. A coordinator killed in
between would, after its restart, promote a trial that it was about to prune. Here a decision is a pure function of
accuracies, so it can be repeated.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence


def halving_rungs(first: float, factor: int, epochs: int) -> tuple[float, ...]:
    """Return `first` times the powers of `factor`, in epochs, that are below `epochs`."""
    found: list[float] = []
    rung = first
    while rung < epochs:
        found.append(rung)
        rung *= factor
    return tuple(found)


class Standings:
    """The ranking of a study's trials at each rung, kept in order, so that a decision does not scan all trials.

    A trial has one accuracy for each milestone (a rung or the end of an epoch); `rungs` are the numbers, counted from
    1, of the milestones that are rungs.

    A trial that diverged or failed ranks last once its round is over: at the rungs that it reached and at the next
    one, to which it trained. It would not have continued from there, so it counts at no later rung. During its round
    it counts with the accuracies that it had, so that a decision repeated after a crash gives the same result.
    """

    def __init__(self, rungs: Iterable[int], factor: int) -> None:
        self._factor = factor
        self._ranked: dict[int, list[tuple[float, int]]] = {rung: [] for rung in rungs}
        self._round = 0
        self._broken: dict[int, Sequence[float]] = {}
        self._last = dict.fromkeys(self._ranked, 0)

    def begin(self, of_round: int) -> None:
        """Begin a trial of that round; once a later round begins, broken trials of earlier rounds rank last."""
        if of_round <= self._round:
            return
        self._round = of_round
        for number, accuracies in self._broken.items():
            for ranked, place in self._places(number, accuracies):
                ranked.remove(place)
            following = min((rung for rung in self._ranked if rung > len(accuracies)), default=math.inf)
            for rung in self._ranked:
                self._last[rung] += rung <= following
        self._broken = {}

    def record(self, number: int, accuracies: Sequence[float]) -> None:
        """Rank a trial by its accuracies (fractions) so far, one for each milestone it has reached."""
        for ranked, place in self._places(number, accuracies):
            index = bisect_left(ranked, place)
            if ranked[index : index + 1] != [place]:
                ranked.insert(index, place)

    def rank_last(self, number: int, accuracies: Sequence[float]) -> None:
        """Mark a trial as diverged or failed after these accuracies."""
        self._broken[number] = accuracies

    def goes_on(self, number: int, accuracies: Sequence[float]) -> bool:
        """Return whether a trial at a rung is in the best 1/`factor` (rounded up) of the trials that reached it.

        Of trials with equal accuracy the earlier one ranks better.
        """
        ranked = self._ranked[len(accuracies)]
        better = bisect_left(ranked, (-accuracies[-1], number))
        return better < math.ceil((len(ranked) + self._last[len(accuracies)]) / self._factor)

    def _places(
        self, number: int, accuracies: Sequence[float]
    ) -> Iterator[tuple[list[tuple[float, int]], tuple[float, int]]]:
        for rung, ranked in self._ranked.items():
            if rung <= len(accuracies):
                yield ranked, (-accuracies[rung - 1], number)
