"""Give each optimizer one colour, the same in every figure and on MLflow's pages."""

from collections.abc import Iterable

from harness.config import OPTIMIZER_CONFIGS

INK = "#1b1b1f"  # of text
# the palette of Okabe and Ito (2008), its light colours darkened to a contrast of 3:1 on white and on black
GREY = "#7f7f7f"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b8860b", "#c2578f", "#5a7bd8", "#8c6d46", GREY)
CHAPTER = ("sgd", "adagrad", "adadelta", "rmsprop", "adam")  # these five get the most distinct colours


def places(names: Iterable[str]) -> dict[str, int]:
    """Return the index of each optimizer's colour: fixed for registered optimizers, then the next free ones."""
    names = list(names)
    order = [*CHAPTER, *(name for name in OPTIMIZER_CONFIGS if name not in CHAPTER)]
    order += [name for name in dict.fromkeys(names) if name not in order]
    return {name: order.index(name) for name in names}


def colours(names: Iterable[str]) -> dict[str, str]:
    """Return each optimizer's colour: its own or, if that is taken, the next free colour; its own if none is free."""
    order = places(names)
    found: dict[str, str] = {}
    for name, place in sorted(order.items(), key=lambda each: each[1]):
        turned = [COLOURS[(place + step) % len(COLOURS)] for step in range(len(COLOURS))]
        found[name] = next((colour for colour in turned if colour not in found.values()), turned[0])
    return {name: found[name] for name in order}
