"""Define the look of figures: one theme, one colour and marker per optimizer, two widths, reproducible bytes."""

import functools
import io
import math
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

from harness.colours import INK, colours, places

Width = Literal["column", "page"]
WIDTHS: dict[Width, float] = {"column": 3.5, "page": 7.2}  # inches: the column and the page of a journal
GRID = "#d4d4d9"  # the page replaces this colour and INK by its own in dark mode
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "*")
THEME: dict[str, Any] = {
    **sns.plotting_context("paper", rc={"font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8}),
    **dict.fromkeys(["xtick.labelsize", "ytick.labelsize", "legend.fontsize", "legend.title_fontsize"], 8),
    **sns.axes_style("ticks", {"axes.grid": True, "axes.spines.top": False, "axes.spines.right": False}),
    **dict.fromkeys(["text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"], INK),
    "font.sans-serif": ["DejaVu Sans"],
    "axes.facecolor": "none",
    "axes.titlelocation": "left",
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.linewidth": 0.6,
    "lines.markersize": 4.5,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
}
DOT = 22  # area of a point, in points squared
LONGEST_NAME = 20
COLUMN_SIGNS = 50  # characters that fit on a line across a column
DOTS = 110  # an inch, in a notebook
LINE_HEIGHT = 0.2  # inches
MOST_VECTORS = 400  # points of a figure; more are drawn as pixels, to keep the page small


class Look(NamedTuple):
    """The look of one optimizer on every figure and page. `key` is the optimizer's name in the page's markup."""

    colour: str
    marker: str
    label: str
    key: str


Looks = Mapping[str, Look]


class Part(NamedTuple):
    """The optimizers (by key) that a drawn element belongs to, and the text it shows when a reader taps it.

    With `of_points`, each key and each tip belongs to one point, in order; otherwise all keys and the single tip
    belong to the whole element.
    """

    keys: tuple[str, ...]
    tips: tuple[str, ...]
    of_points: bool = False


class Drawn(Figure):
    """A figure that records which optimizers its elements belong to, by the id of each element in an SVG."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **options)
        self.parts: dict[str, Part] = {}

    def tag(self, artist: Artist, looks: Iterable[Look], tip: str = "") -> None:
        """Record the optimizers that an element belongs to, and its tip."""
        self._add(artist, Part(tuple(each.key for each in looks), (tip,)))

    def tag_points(self, artist: Artist, looks: Iterable[Look], tips: Iterable[str]) -> None:
        """Record the optimizer and the tip of each point, in the order in which the points are drawn."""
        self._add(artist, Part(tuple(each.key for each in looks), tuple(tips), of_points=True))

    def _repr_png_(self) -> bytes:
        """Return the picture that a notebook shows, which knows figures of `matplotlib.pyplot` alone."""
        with styled(), io.BytesIO() as file:
            self.savefig(file, format="png", dpi=DOTS, facecolor="white")
            return file.getvalue()

    def _add(self, artist: Artist, part: Part) -> None:
        name = f"part-{len(self.parts)}"
        artist.set_gid(name)
        self.parts[name] = part


@dataclass(frozen=True)
class Picture:
    """A computed figure: its tidy frame, its finding in words, and the function that draws the frame."""

    data: pd.DataFrame
    finding: str
    paint: Callable[[pd.DataFrame, Width], Drawn]

    def draw(self, width: Width) -> Drawn:
        """Draw the figure in one of the two widths."""
        return self.paint(self.data, width)


def looks(names: Iterable[str]) -> dict[str, Look]:
    """Return the look of each optimizer; registered names always look the same, other names take the next looks."""
    names = list(names)
    found = colours(names)
    return {
        name: Look(found[name], MARKERS[place % len(MARKERS)], drawable(name), f"o{place}")
        for name, place in places(names).items()
    }


def drawable(name: str, longest: int = LONGEST_NAME) -> str:
    """Return a name that matplotlib can draw: shortened, without formulas and without signs that its font lacks."""
    signs = _signs()
    text = "".join(sign if ord(sign) in signs else "\N{WHITE SQUARE}" for sign in name)
    return (text if len(text) <= longest else text[: longest - 1] + "…").replace("$", r"\$")


@functools.cache
def _signs() -> Collection[int]:
    """Return the code points in the font that figures use."""
    return FT2Font(findfont("DejaVu Sans")).get_charmap().keys()


@contextmanager
def styled() -> Iterator[None]:
    """Use this module's theme within the block, and ignore the user's matplotlibrc."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(THEME)  # type: ignore[arg-type]  # the keys are names of matplotlib's parameters
        yield


def figure(width: Width, height: float) -> Drawn:
    """Return an empty figure with this height in inches."""
    return Drawn(figsize=(WIDTHS[width], height), layout="constrained")


def panels(width: Width, count: int, height: float, most: int = 3, extra: float = 0.45) -> tuple[Drawn, list[Axes]]:
    """Return a figure with `count` panels of `height` inches that share the y scale, plus `extra` inches."""
    columns = min(count, most if width == "page" else 2)
    rows = math.ceil(count / columns)
    drawn = figure(width, extra + height * rows)
    axes = drawn.subplots(rows, columns, sharey=True, squeeze=False).flatten().tolist()
    for axis in axes[count:]:
        axis.remove()
    return drawn, axes[:count]


def rows(axis: Axes, labels: Sequence[str]) -> None:
    """Label the rows from top to bottom, and show grid lines for x only."""
    axis.set_yticks(range(len(labels)), labels)
    axis.set(ylim=(len(labels) - 0.4, -0.6), ylabel="")
    axis.grid(visible=False, axis="y")


def name_scale(drawn: Drawn, axis: Axes, text: str, width: Width) -> None:
    """Name the x scale of a figure's only panel; in the narrow width, use the whole width of the figure."""
    if width == "page":
        axis.set_xlabel(text)
    else:
        axis.set_xlabel("")  # remove seaborn's label
        drawn.supxlabel(textwrap.fill(text, COLUMN_SIGNS), fontsize=8)


def tip(said: str, run_id: str) -> str:
    """Return the tip of a point: what it is, and the command that reproduces its run."""
    return f"{said}, harness reproduce {run_id}"


def tuples(data: pd.DataFrame) -> Iterable[Any]:
    """Return the rows of a frame as named tuples."""
    return data.itertuples()


def dots(
    drawn: Drawn,
    axis: Axes,
    data: pd.DataFrame,
    x: str,
    y: str,
    looks: Looks,
    **options: Any,  # noqa: ANN401
) -> None:
    """Draw a point for each row in the look of its optimizer; the column `tip`, if present, holds the tips."""
    names = data["optimizer"].tolist()
    how: dict[str, Any] = {"s": DOT, "linewidth": 0, "alpha": 0.75, "rasterized": len(data) > MOST_VECTORS}
    how |= {
        "hue": "optimizer",
        "style": "optimizer",
        "palette": {name: looks[name].colour for name in names},
        "markers": {name: looks[name].marker for name in names},
        "legend": False,
    }
    sns.scatterplot(data, x=x, y=y, ax=axis, **(how | options))
    tips = data["tip"] if "tip" in data else [""] * len(data)
    drawn.tag_points(axis.collections[-1], [looks[name] for name in names], tips)


def interval(
    drawn: Drawn, axis: Axes, row: float, ends: tuple[float, float], colour: str, of: Iterable[Look] = ()
) -> None:
    """Draw an interval as a line along a row."""
    (line,) = axis.plot(ends, [row, row], color=colour, linewidth=1.6, solid_capstyle="butt", zorder=1.5)
    drawn.tag(line, of)


def legend(drawn: Drawn, names: Iterable[str], looks: Looks, width: Width) -> None:
    """Show the marker and name of each optimizer above all panels."""
    handles = [
        Line2D([], [], marker=looks[name].marker, color=looks[name].colour, linestyle="", label=looks[name].label)
        for name in names
    ]
    columns = 8 if width == "page" else 3
    drawn.legend(handles=handles, loc="outside upper left", ncols=columns, frameon=False, handletextpad=0.1)


def lay_out(drawn: Figure, warning: str) -> None:
    """Make room for all labels, and for a warning on top. Called once for all formats, since it takes long."""
    engine = drawn.get_layout_engine()
    assert engine is not None, "the figure was made by `figure`"
    engine.execute(drawn)
    drawn.set_layout_engine(None)  # with "none" instead, saving would draw twice
    if warning:
        _add_above(drawn, warning)


def _add_above(drawn: Figure, warning: str) -> None:
    """Add a line of text above a figure that is laid out; the layout itself would put it over a legend."""
    part = drawn.get_figheight() / (drawn.get_figheight() + LINE_HEIGHT)
    drawn.set_figheight(drawn.get_figheight() + LINE_HEIGHT)
    for axis in drawn.axes:
        box = axis.get_position(original=True)
        axis.set_position((box.x0, box.y0 * part, box.width, box.height * part))
    for label in drawn.texts:
        label.set_y(label.get_position()[1] * part)
    for legend in drawn.legends:
        legend.set_bbox_to_anchor((0, 0, 1, part), transform=drawn.transFigure)
    drawn.suptitle(warning, y=0.99, fontsize=7.5, fontweight="bold")


def logarithmic(axis: Axes, which: Literal["x", "y"], dense: float = 2.5, most: int = 4) -> None:
    """Make a scale logarithmic, with plain numbers as labels.

    A scale of fewer than `dense` decades also has labels within a decade. A scale of more than 2.5 decades
    has at most `most` labels. On one below a factor of 5, 1, 2 and 5 may give a single label, so it has others.
    """
    of = axis.xaxis if which == "x" else axis.yaxis
    low, high = axis.dataLim.intervalx if which == "x" else axis.dataLim.intervaly
    if math.isclose(low, high):  # matplotlib would warn of a scale without extent
        axis.set(**{f"autoscale{which}_on": False})
    axis.set(**{f"{which}scale": "log"})
    if low > 0:
        margin = max(1.08, (high / low) ** 0.03)  # room for whole markers at both ends
        axis.set(**{f"{which}lim": (low / margin, high * margin)})
    decades = math.log10(high / low) if low > 0 else 1
    if decades < math.log10(5):
        of.set_major_locator(MaxNLocator(4 if decades < 0.5 else 3))
    else:
        of.set_major_locator(
            LogLocator(subs=(1, 2, 5) if decades < dense else (1,), numticks=most if decades > 2.5 else None)
        )
    of.set_minor_locator(NullLocator())
    of.set_minor_formatter(NullFormatter())
    of.set_major_formatter(lambda value, _: _short(value))


def up_to_100(axis: Axes) -> None:
    """End a horizontal scale of percentages slightly above 100, where a whole marker has room."""
    low, high = axis.get_xlim()
    axis.set_xlim(right=min(high, 100 + 0.02 * (100 - low)))


def lowest_shown(values: pd.Series) -> float:
    """Return where a logarithmic scale, on which 0 has no place, shows it: at half of the smallest other value."""
    return float(values[values > 0].min()) / 2 if (values > 0).any() else 0.01


def about_zero(errors: pd.Series) -> str:
    """Return the sentence on errors of 0 on a logarithmic scale; empty if there are none."""
    return " An error of 0 is drawn at the lower end." if (errors == 0).any() else ""


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def tint(colour: str) -> LinearSegmentedColormap:
    """Return a colour scale from transparent to `colour`, on which text stays readable in light and dark mode."""
    return LinearSegmentedColormap.from_list("tint", [to_rgba(colour, 0.0), to_rgba(colour, 0.45)])
