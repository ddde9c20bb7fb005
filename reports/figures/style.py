"""How all figures look: one colour and one marker per optimizer, two widths, the same bytes for the same data."""

import functools
import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, Protocol

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from harness.colours import colours, places

Width = Literal["column", "page"]
WIDTHS: dict[Width, float] = {"column": 3.5, "page": 7.2}  # inches, of a journal's column and page
FORMATS = ("svg", "png", "pdf")
# the page gives these two its own colours, so that a figure is readable on a dark ground too
INK = "#1b1b1f"
GRID = "#d4d4d9"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "*")
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "legend.fontsize": 8,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
}
LONGEST_NAME = 20
MOST_VECTORS = 400  # points of a figure; more are drawn as pixels, so that the page stays small


class Look(NamedTuple):
    """How one optimizer looks on every figure of every page."""

    colour: str
    marker: str
    label: str


class Picture(Protocol):
    """A computed figure."""

    @property
    def finding(self) -> str:
        """What it shows, in a sentence or two, for whoever can't see it."""

    def draw(self, width: Width) -> Figure:
        """Return the figure at that width."""


def looks(names: Iterable[str]) -> dict[str, Look]:
    """By optimizer: of the registry's always the same one, of other names the next ones in turn."""
    names = list(names)
    found = colours(names)
    return {
        name: Look(found[name], MARKERS[place % len(MARKERS)], drawable(name))
        for name, place in places(names).items()
    }


def drawable(name: str) -> str:
    """`name` as matplotlib can draw it: no formula, no sign that its font lacks, and short."""
    signs = _signs()
    text = "".join(sign if ord(sign) in signs else "\N{WHITE SQUARE}" for sign in name)
    return (text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…").replace("$", r"\$")


@functools.cache
def _signs() -> Collection[int]:
    """Code points of matplotlib's own font."""
    return FT2Font(findfont("DejaVu Sans")).get_charmap().keys()


def figure(width: Width, height: float) -> Figure:
    """An empty one, so many inches high."""
    return Figure(figsize=(WIDTHS[width], height), layout="constrained")


@contextmanager
def styled() -> Iterator[None]:
    """Under which all figures are drawn, whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def label_ends(drawn: Figure, axis: Axes, ends: Mapping[str, tuple[float, float]], looks: Mapping[str, Look]) -> None:
    """Names beside the ends of lines (x, y in data units), moved apart where they would overlap."""
    if not ends:
        return
    _find_room(drawn)
    to_axes = axis.transData + axis.transAxes.inverted()
    heights = {name: float(to_axes.transform(end)[1]) for name, end in ends.items()}
    line = 10 / 72 / (axis.get_position().height * drawn.get_figheight())
    for name, height in spread(heights, line).items():
        axis.annotate(
            looks[name].label,
            ends[name],
            xytext=(1.03, height),
            textcoords="axes fraction",
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": looks[name].colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3},
        )


def spread(positions: Mapping[str, float], least: float) -> dict[str, float]:
    """`positions` moved as little as brings any two `least` apart, in their order (isotonic regression)."""
    from scipy.optimize import isotonic_regression

    names = sorted(positions, key=positions.__getitem__)
    offsets = np.arange(len(names)) * least
    fitted = isotonic_regression([positions[name] - offset for name, offset in zip(names, offsets, strict=True)])
    return dict(zip(names, (fitted.x + offsets).tolist(), strict=True))


def legend(drawn: Figure, names: Iterable[str], looks: Mapping[str, Look], width: Width) -> None:
    """Marker and name of each, above all panels."""
    handles = [
        Line2D([], [], marker=looks[name].marker, color=looks[name].colour, linestyle="", label=looks[name].label)
        for name in names
    ]
    columns = 8 if width == "page" else 3
    drawn.legend(handles=handles, loc="outside upper left", ncols=columns, frameon=False, handletextpad=0.1)


def lay_out(drawn: Figure, warning: str) -> None:
    """Find room for all labels, and for a warning above; once for all formats, since it takes as long as drawing."""
    if warning:
        drawn.set_figheight(drawn.get_figheight() + 0.2)
        drawn.suptitle(warning, fontsize=7.5, fontweight="bold")
    _find_room(drawn)
    drawn.set_layout_engine(None)  # "none" would be an engine that does nothing, for which saving draws twice


def _find_room(drawn: Figure) -> None:
    """Lay the figure out as drawing would, before it is drawn."""
    engine = drawn.get_layout_engine()
    assert engine is not None, "it was made by `figure`"
    engine.execute(drawn)


def tinted(shares: NDArray[np.float64], colour: str) -> NDArray[np.float64]:
    """An image (rows, columns, RGBA) of `shares` (0 to 1): the more, the less of the ground is seen through `colour`.

    So numbers on it are readable on a light ground and on a dark one.
    """
    image = np.empty((*shares.shape, 4))
    image[..., :3] = to_rgb(colour)
    image[..., 3] = 0.45 * shares
    return image


def whole_numbers(axis: Axes) -> None:
    """Ticks of x at integers alone."""
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def logarithmic(axis: Axes) -> None:
    """A logarithmic y, with as many labels as there is room for: matplotlib's own are too few within a decade."""
    low, high = axis.dataLim.intervaly
    axis.set_yscale("log")
    axis.set_ylim(low / 1.05, high * 1.05)
    within_a_decade = high < 5 * low
    axis.yaxis.set_major_locator(MaxNLocator(5) if within_a_decade else LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter("{x:g}")


def zoom(axis: Axes, floor: float, top: float) -> None:
    """Show the accuracies from one to the other."""
    margin = 0.06 * (top - floor) or 0.005
    axis.set_ylim(100 * (floor - margin), 100 * (top + margin))
    axis.ticklabel_format(axis="y", useOffset=False)


def lowest_shown(accuracies: Sequence[float]) -> float:
    """Where an axis of accuracies begins, so that a few very bad trials don't hide what the others differ in."""
    middle = float(np.median(accuracies))
    return max(0.0, min(min(accuracies), middle) if min(accuracies) > 2 * middle - 1 - 0.02 else 3 * middle - 2)


def many(values: Sequence[object]) -> bool:
    """Whether so many points are drawn as pixels."""
    return len(values) > MOST_VECTORS


def render(drawn: Figure, kind: str, salt: str) -> bytes:
    """The figure as `svg`, `png` or `pdf`, the same bytes for the same data.

    `salt` makes the ids of an SVG its own, so that several stand on one page.
    """
    buffer = io.BytesIO()
    metadata = {"svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}[kind]
    with mpl.rc_context({"svg.hashsalt": salt, "svg.fonttype": "path"}):
        dots = 144 if kind == "svg" else 200  # an inch; of a page on a screen, and in print
        drawn.savefig(buffer, format=kind, dpi=dots, metadata=metadata, transparent=kind != "png")
    return buffer.getvalue()
