"""One colour for each optimizer, the same one on every figure and on MLflow's own pages."""

from collections.abc import Iterable

from harness.config import OPTIMIZER_CONFIGS

INK = "#1b1b1f"  # of text
# after Okabe and Ito (2008), its light colours darkened until each has a contrast of 3:1 on white and on black
GREY = "#7f7f7f"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b8860b", "#c2578f", "#5a7bd8", "#8c6d46", GREY)
CHAPTER = ("sgd", "adagrad", "adadelta", "rmsprop", "adam")  # the most different colours for the chapter's five


def places(names: Iterable[str]) -> dict[str, int]:
    """Return each optimizer's place among all: of the registry's always the same, of others the next ones in turn."""
    names = list(names)
    order = [*CHAPTER, *(name for name in OPTIMIZER_CONFIGS if name not in CHAPTER)]
    order += [name for name in dict.fromkeys(names) if name not in order]
    return {name: order.index(name) for name in names}


def colours(names: Iterable[str]) -> dict[str, str]:
    """Return each optimizer's colour."""
    return {name: COLOURS[place % len(COLOURS)] for name, place in places(names).items()}
