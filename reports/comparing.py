"""Compare two sweeps on one page: their answers, the change of every optimizer, and what was done differently."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd

from harness.config import canonical_json, differences
from harness.errors import BadInputError
from harness.paths import work_folder
from harness.records import Tag
from reports import columns
from reports.columns import Table
from reports.contents import Contents, contents
from reports.evidence import final_accuracies
from reports.figures.style import looks
from reports.figures.svg import PAGE_FORMATS
from reports.figures.two_sweeps import two_sweeps
from reports.page import SUBSET, inline_figures, render_template, rendered_figures, write_files
from reports.queries import table_bytes
from reports.sections import ShownFigure
from reports.source import Source, read_source
from reports.statistics import SweepChange, sweep_changes
from reports.tables import outcome_of

NOTE = (
    "Mean test accuracy in each sweep, and the change with its 95% interval (Welch). If a sweep has one replicate, "
    "its finals are compared: the change is about these winners, on new seeds. If it has several, the means of the "
    "finals of each complete replicate are; if both have several, the change is about this way of tuning. The "
    "verdict uses p, which is corrected for the number of optimizers (Holm). An optimizer with a final that diverged "
    "or failed, or without a winner of a search, is not judged."
)
COMPARED = {"data": Tag.DATA_DIGEST, "git commit": Tag.GIT_COMMIT, "torch": Tag.TORCH, "device": Tag.DEVICE}


def write_comparison(one: str, other: str, folder: Path | None = None, formats: Sequence[str] = PAGE_FORMATS) -> Path:
    """Write the comparison of two sweeps or single runs, from MLflow alone, and return the path of its page.

    Raises:
        BadInputError: an id is unknown, both ids are the same, or the folder can't be written.
    """
    if one == other:
        raise BadInputError(
            "sweep",
            other,
            "is given twice",
            expected="two different sweeps or runs",
            next_step="name another sweep or run",
        )
    files = build_comparison(read_source(one), read_source(other), formats)
    return write_files(files, folder or work_folder("reports", f"{one}-{other}")) / "report.html"


def build_comparison(one: Source, other: Source, formats: Sequence[str] = PAGE_FORMATS) -> dict[str, bytes]:
    """Return the files of the comparison by name: page, Markdown, table and figure."""
    first, second = contents(one), contents(other)
    without = _without_winner(first, second)
    found = [
        each.model_copy(update={"without_winner": each.optimizer in without})
        for each in sweep_changes(_units(first), _units(second), _lost(first, second), _named_units(first, second))
    ]
    names = _name(one), _name(other)
    optimizers = list(dict.fromkeys([*one.definition.optimizers, *other.definition.optimizers]))
    picture = two_sweeps(found, names, optimizers)
    subset = one.definition.subset or other.definition.subset
    rows = [each.model_dump() | {"told_apart": each.told_apart} for each in found]
    frame = pd.DataFrame(rows, columns=[*SweepChange.model_fields, "told_apart"])
    files = {"tables/changes.csv": table_bytes(frame.assign(subset=subset), "csv")}
    files |= rendered_figures({"comparison": picture} if picture else {}, SUBSET if subset else "", formats)
    svg = inline_figures(files).get("comparison", {})
    finding = picture.finding if picture else _why_nothing(first, second)
    values: dict[str, Any] = {
        "names": names,
        "looks": looks(optimizers),
        "answer": _answer(first, second, finding, found),
        "figure": ShownFigure("comparison", "Mean test accuracy in both sweeps.", finding, svg),
        "table": Table("Changes by optimizer", columns.change_columns(names), frame.to_dict("records"), NOTE),
        "sides": [_side(name, each) for name, each in zip(names, (first, second), strict=True)],
        "differences": _what_differs(one, other),
    }
    return files | {
        "report.html": render_template("comparison.html", values),
        "report.md": render_template("comparison.md", values),
    }


def _units(said: Contents) -> dict[str, dict[int, float]]:
    """Return test accuracies (fractions) by optimizer and independent unit.

    A unit is a completed final, by its seed; if the sweep has several replicates, the mean of a replicate's completed
    finals. Only complete replicates count.
    """
    verdicts = said.computed.verdicts
    if not verdicts.of_optimizers:
        return {name: dict(of) for name, of in said.finals.items()}
    found = final_accuracies(said.computed.runs, said.source.definition)
    return {
        name: {
            number: mean(known)
            for number in range(1, verdicts.complete + 1)
            if (known := [each for each in found.get(name, {}).get(number, {}).values() if each is not None])
        }
        for name in said.finals
    }


def _named_units(first: Contents, second: Contents) -> str:
    named = ["replicates" if each.computed.verdicts.of_optimizers else "seeds" for each in (first, second)]
    return named[0] if named[0] == named[1] else "seeds or replicates"


def _lost(first: Contents, second: Contents) -> list[str]:
    """Return the optimizers of both sweeps that lost a final, or lack a winner of a replicate, in one of them."""
    lost = {*first.computed.verdicts.lost, *second.computed.verdicts.lost}
    return [name for name in first.finals if name in second.finals and name in lost]


def _without_winner(first: Contents, second: Contents) -> list[str]:
    """Return those in `_lost` of which a search found no winner in one of the sweeps."""
    without = {*first.computed.verdicts.without_winner, *second.computed.verdicts.without_winner}
    return [name for name in _lost(first, second) if name in without]


def _why_nothing(first: Contents, second: Contents) -> str:
    shared = set(first.finals) & set(second.finals)
    if not shared:
        return "The two sweeps have no optimizer in common."
    if all(any(each.finals[name] for name in shared) for each in (first, second)):
        return "No optimizer has finals of a complete replicate in both sweeps."
    return "No optimizer has completed finals in both sweeps."


def _population(first: Contents, second: Contents) -> str:
    """Say what a change is about; with one replicate nothing is known about the luck of the search."""
    single = [_name(each.source) for each in (first, second) if not each.computed.verdicts.of_optimizers]
    if not single:
        return "The changes are about this way of tuning, with new searches and new seeds."
    if len(single) == 2:
        return "The changes are about these winners, on new seeds."
    return f"The changes are about the winners of {single[0]}, which has one replicate, on new seeds."


def _answer(first: Contents, second: Contents, finding: str, found: Sequence[SweepChange]) -> list[str]:
    digests = {each.source.sweep.tags.get(Tag.DATA_DIGEST) for each in (first, second)}
    subset = any(each.source.definition.subset for each in (first, second))
    unfinished = [_name(each.source) for each in (first, second) if outcome_of(each.source.sweep) != "completed"]
    without = _without_winner(first, second)
    lost = [name for name in _lost(first, second) if name not in without]
    caveats = [
        (any(each.tested for each in found), _population(first, second)),
        (lost, f"Nothing is claimed about {', '.join(lost)}, since finals did not complete."),
        (without, f"Nothing is claimed about {', '.join(without)}, since a search found no winner."),
        (unfinished, f"Not complete: {' and '.join(unfinished)}."),
        (len(digests) > 1, "The two used different data, so a difference says nothing about the optimizers."),
        (subset, "At least one trained on a subset of the data, so its accuracies mean nothing."),
    ]
    return [finding, *(sentence for applies, sentence in caveats if applies)]


def _side(name: str, said: Contents) -> dict[str, Any]:
    return {
        "name": name,
        "sweep": said.source.sweep,
        "answer": said.answer,
        "winners": [(each.optimizer, each.command) for each in said.recipes],
    }


def _what_differs(one: Source, other: Source) -> list[tuple[str, Any, Any]]:
    """Return (name, first value, second value) of everything that differs: definition, data, commit, machine."""
    made = [(name, one.sweep.tags.get(tag), other.sweep.tags.get(tag)) for name, tag in COMPARED.items()]
    done = (json.loads(canonical_json(each.definition)) for each in (one, other))
    return differences(*done) + [each for each in made if each[1] != each[2]]


def _name(source: Source) -> str:
    return f"{source.sweep.experiment} {source.sweep.run_id[:8]}"
