"""Successive halving within one study: which trials go on after a rung (Jamieson and Talwalkar 2016).

Optuna's pruner marks a rung as passed in its storage while it decides, so a coordinator that is killed in between
would promote what it meant to prune. Here a decision is a function of accuracies, and can be taken again.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence


def halving_rungs(first: float, factor: int, epochs: int) -> tuple[float, ...]:
    """Return `first` times the powers of `factor`, in epochs, before the last epoch."""
    found: list[float] = []
    rung = first
    while rung < epochs:
        found.append(rung)
        rung *= factor
    return tuple(found)


class Standings:
    """How the trials of a study stand at each rung, kept in order: a decision costs no scan of all trials.

    A trial has an accuracy at each milestone, which are the rungs and the ends of its epochs; `rungs` says which of
    them, counted from 1, are rungs.

    What diverged or failed ranks last once its round is over. In its own round it counts with what it had, so that a
    decision is the same when it is taken again after a crash.
    """

    def __init__(self, rungs: Iterable[int], factor: int) -> None:
        self._factor = factor
        self._ranked: dict[int, list[tuple[float, int]]] = {rung: [] for rung in rungs}
        self._round = 0
        self._broken: dict[int, Sequence[float]] = {}
        self._last = 0

    def begin(self, of_round: int) -> None:
        """A trial of that round begins; rounds come one after the other."""
        if of_round <= self._round:
            return
        self._round = of_round
        for number, accuracies in self._broken.items():
            for ranked, place in self._places(number, accuracies):
                ranked.remove(place)
        self._last += len(self._broken)
        self._broken = {}

    def record(self, number: int, accuracies: Sequence[float]) -> None:
        """A trial's accuracies so far."""
        for ranked, place in self._places(number, accuracies):
            index = bisect_left(ranked, place)
            if ranked[index : index + 1] != [place]:
                ranked.insert(index, place)

    def rank_last(self, number: int, accuracies: Sequence[float]) -> None:
        """A trial diverged or failed, after these accuracies."""
        self._broken[number] = accuracies

    def goes_on(self, number: int, accuracies: Sequence[float]) -> bool:
        """Whether the trial, at a rung now, is in the best 1/`factor` (rounded up) of the trials that came there.

        Of equal ones the earlier trial is the better.
        """
        ranked = self._ranked[len(accuracies)]
        better = bisect_left(ranked, (-accuracies[-1], number))
        return better < math.ceil((len(ranked) + self._last) / self._factor)

    def _places(
        self, number: int, accuracies: Sequence[float]
    ) -> Iterator[tuple[list[tuple[float, int]], tuple[float, int]]]:
        for rung, ranked in self._ranked.items():
            if rung <= len(accuracies):
                yield ranked, (-accuracies[rung - 1], number)
