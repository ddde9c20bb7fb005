"""The sections of the page, in its order, each with its figures; what else is in one, its templates say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.contents import Contents
from reports.figures.registry import FIGURES, FigureRow

LONGEST_CAPTION = 300  # characters; a longer finding is for those who can't see the figure


@dataclass(frozen=True)
class ShownFigure:
    """A figure as it stands on the page. `svg` is by width; `instead_of`: in whose place a reader can have it."""

    name: str
    caption: str
    finding: str
    svg: Mapping[str, str]
    instead_of: str | None = None

    @property
    def text(self) -> str:
        """What stands below it."""
        return self.caption if len(self.finding) > LONGEST_CAPTION else f"{self.caption} {self.finding}"


@dataclass(frozen=True)
class Section:
    """A section that has something to show: its figures, `above` its table and `below`.

    The table, and whatever else is its own, is in the templates `section-NAME`.
    """

    name: str
    title: str
    above: Sequence[ShownFigure]
    below: Sequence[ShownFigure]


def sections(said: Contents, svg: Mapping[str, Mapping[str, str]]) -> list[Section]:
    """Return those that have something to show. `svg` are the figures that were drawn, by name and width."""
    tables, single = said.tables, said.source.single
    # of each its title, and whether there is something in it but figures
    of_page = {
        "answer": ("", True),
        "final-accuracy": ("Final accuracy", True),
        "convergence": ("Convergence", False),
        "cost": ("Time and cost", len(tables["targets"]) > 0),
        "tuning": ("Tuning", bool((tables["runs"]["stage"] == "trial").any())),
        "failures": ("", len(tables["failures"]) > 0),
        "winners": ("Settings" if single else "Winners", len(said.recipes) + len(tables["winners"]) > 0),
        "mistakes": ("What the models get wrong", len(tables["classes"]) > 0),
        "provenance": ("How it was made", True),
    }
    found = []
    for name, (title, has_more) in of_page.items():
        rows = [row for row in FIGURES if row.section == name]
        if has_more or any(row.name in svg for row in rows):
            above, below = (
                [_shown(row, said, svg[row.name]) for row in rows if row.name in svg and row.below_table == is_below]
                for is_below in (False, True)
            )
            found.append(Section(name, title, above, below))
    return found


def _shown(row: FigureRow, said: Contents, svg: Mapping[str, str]) -> ShownFigure:
    return ShownFigure(row.name, row.caption, said.pictures[row.name].finding, svg, row.instead_of)
