"""List the sections of the page in order, each with its figures; templates add the rest of a section."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.contents import Contents
from reports.figures.registry import FIGURES, FigureRow

LONGEST_CAPTION = 300  # characters; a longer finding is left to screen readers


@dataclass(frozen=True)
class ShownFigure:
    """A figure on the page. `svg` is by width; `instead_of` names the figure that a reader can replace by it."""

    name: str
    caption: str
    finding: str
    svg: Mapping[str, str]
    instead_of: str | None = None

    @property
    def text(self) -> str:
        """Return the text below the figure: its caption, and its finding unless that makes it too long."""
        return self.caption if len(self.finding) > LONGEST_CAPTION else f"{self.caption} {self.finding}"


@dataclass(frozen=True)
class Section:
    """A section of the page: its title, the figures `above` its table and those `below`.

    The templates `section-NAME` hold the table and whatever else belongs to the section.
    """

    name: str
    title: str
    above: Sequence[ShownFigure]
    below: Sequence[ShownFigure]


def sections(said: Contents, svg: Mapping[str, Mapping[str, str]]) -> list[Section]:
    """Return the sections that have content. `svg` holds the figures that were drawn, by name and width."""
    tables, single = said.tables, said.source.single
    # by section: its title, and whether it has content besides figures
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
