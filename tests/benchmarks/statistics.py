"""How often the verdicts claim what is false, hold the truth, and find what is there: by simulation."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from studies.definition import FINALS_RISK, LEVEL, SweepDefinition
from studies.intervals import Intervals, blocked, games_howell
from tests.contenders.record import markdown
from tests.simulated import MARGIN, NOISES, SPREADS, at_looks, better, finals, of_pairs, replicates, same

STORED = Path(__file__).parent / "stored" / "statistics.json"
SWEEPS = 4000
MOST_FALSE = 0.05
REAL_LIKE = (0.2, 0.0, 0.02, 0.04, 0.0)  # one above four that lie close together, in points
ELEVEN = tuple(np.linspace(0.05, 0.20, 11).tolist())
LUCKS = (0.05, 0.10, 0.15)
UNEVEN = (0.05, 0.05, 0.05, 0.05, 0.5)  # one optimizer varies ten times as much between seeds as the others
FAILING = (
    "only 3 finals",
    "eleven optimizers, no shared",
    "grown",
    "uneven",
    "fragile",
    "read as",
)  # in the names of cases in which the method fails


def main() -> None:
    """false "better", false "same", joint coverage and power, of claims about winners and about optimizers"""
    found = simulated(SWEEPS)
    STORED.parent.mkdir(exist_ok=True)
    STORED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for title, rows in found.items():
        header = list(next(iter(rows.values())))
        table = markdown(["", *header], [[name, *map(_shown, row.values())] for name, row in rows.items()])
        print(f"{title}:\n{table}\n")
    for rows in found.values():
        for name, row in rows.items():
            assert row["false better"] <= MOST_FALSE or fails(name), (name, row)


def fails(name: str) -> int:
    """Return 0 for a case in which the method holds what it promises, else its rank among the others."""
    return next((rank for rank, part in enumerate(FAILING, 1) if part in name), 0)


def table_of(found: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Return the table of `reports/reading.md`: the cases that a reader may meet, and those where it fails."""
    header = ["", "false *better*", "false *same*", "a difference of .2 is found", "half-width", "finals each"]
    rows = [
        [
            name,
            f"{row['false better']:.1%}",
            "" if row["false same"] is None else f"{row['false same']:.1%}",
            "" if row["finds .2"] is None else f"{row['finds .2']:.0%}",
            f"{row['half-width']:.2f}",
            f"{row['mean finals']:.1f}",
        ]
        for rows in found.values()
        for name, row in rows.items()
        if not name.endswith(("normal", "heavy", "luck 0.15")) and "equal spreads" not in name
    ]
    return markdown(header, sorted(rows, key=lambda row: fails(row[0])))


def simulated(sweeps: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the rates, by what the claims are about and the case."""
    return {"claims about winners": _winners(sweeps), "claims about optimizers": _optimizers(sweeps)}


def _winners(sweeps: int) -> dict[str, dict[str, Any]]:
    rng = np.random.default_rng(26)
    cases: dict[str, dict[str, Any]] = {}
    plans = {"8 finals": (8,), "16 finals": (16,), "looks at 8 and 16": (8, 16)}
    for name, looks in plans.items():
        for noise in ("normal", "skewed", "heavy"):
            cases[f"{name}, {noise}"] = _of_looks(
                finals(rng, sweeps, looks[-1], noise=noise),
                finals(rng, sweeps, looks[-1], noise=noise, means=REAL_LIKE),
                looks,
            )
    cases["looks at 8 and 16, equal spreads"] = _of_looks(
        finals(rng, sweeps, 16, (0.1,) * 5), finals(rng, sweeps, 16, (0.1,) * 5, means=REAL_LIKE), (8, 16)
    )
    cases["looks at 8 and 16, eleven optimizers"] = _of_looks(
        finals(rng, sweeps, 16, ELEVEN), finals(rng, sweeps, 16, ELEVEN, means=(0.2,) + (0.0,) * 10), (8, 16)
    )
    for first in (4, 8, 16):
        cases[f"a fragile winner, {first} finals"] = _of_looks(
            _fragile(rng, sweeps, first), finals(rng, sweeps, first, means=REAL_LIKE), (first,)
        )
    few = finals(rng, sweeps, 3), finals(rng, sweeps, 3, means=REAL_LIKE)
    cases["only 3 finals, skewed"] = _of_looks(*few, (3,))
    return cases | _apart(rng, sweeps)


def _apart(rng: np.random.Generator, sweeps: int) -> dict[str, dict[str, Any]]:
    """Return the rates where optimizers have no luck in common on a seed, which would make the intervals too long."""
    cases = {}
    plans = {"8 finals": (8,), "16 finals": (16,), "looks at 8 and 16": (8, 16), "only 3 finals": (3,)}
    for name, looks in plans.items():
        equal, real = (finals(rng, sweeps, looks[-1], means=means, shared=0.0) for means in (0.0, REAL_LIKE))
        cases[f"{name}, skewed, no shared luck"] = _of_looks(equal, real, looks)
    many = [finals(rng, sweeps, 16, ELEVEN, means=means, shared=0.0) for means in (0.0, (0.2,) + (0.0,) * 10)]
    for name, looks in (("8 finals", (8,)), ("looks at 8 and 16", (8, 16))):
        of_looks = [values[..., : looks[-1]] for values in many]
        cases[f"{name}, eleven optimizers, no shared luck"] = _of_looks(of_looks[0], of_looks[1], looks)
    return cases


def _fragile(rng: np.random.Generator, sweeps: int, seeds: int) -> np.ndarray:
    """Return finals of which the first optimizer's lose half a point on a quarter of their seeds, its mean equal."""
    values = finals(rng, sweeps, seeds)
    spoilt = rng.random((sweeps, seeds)) < 0.25
    values[:, 0] += np.where(spoilt, -0.5, 0.5 / 3)
    return values


def _of_looks(equal: np.ndarray, real: np.ndarray, looks: tuple[int, ...]) -> dict[str, Any]:
    """Return the rates of one plan: where all are equal, and where one is above the others (`REAL_LIKE`)."""
    null, _ = at_looks(equal, looks)
    found, counts = at_looks(real, looks)
    apart = equal + _ladder(equal.shape[1])
    edge, _ = at_looks(apart, looks)
    return {
        "false better": float(np.mean(_any(better(look) for look in null))),
        "false same": float(np.mean(_any(same(look, MARGIN) & _truly_apart(equal.shape[1]) for look in edge))),
        "all intervals hold": 1 - float(np.mean(_any(better(look) for look in null))),
        "finds .2": float(np.mean(of_first(better(found[-1])))),
        "half-width": float(np.mean(of_pairs(found[-1].widths))),
        "mean finals": float(counts.mean()),
    }


def _optimizers(sweeps: int) -> dict[str, dict[str, Any]]:
    rng = np.random.default_rng(62)
    cases: dict[str, dict[str, Any]] = {}
    for luck in LUCKS:
        for count in (3, 5):
            name = f"{count} replicates of 2 finals, search luck {luck:.2f}"
            cases[name] = _of_replicates(rng, sweeps, count, luck, SPREADS)
        equal_spreads = _of_replicates(rng, sweeps, 3, luck, (0.1,) * 5)
        cases[f"3 replicates, equal spreads, search luck {luck:.2f}"] = equal_spreads
        cases[f"5 replicates, eleven optimizers, search luck {luck:.2f}"] = _of_replicates(
            rng, sweeps, 5, luck, ELEVEN
        )
        for seeds in (8, 16):
            one_search = luck * NOISES["skewed"](rng, (sweeps, 5))[..., None]
            intervals = _unpaired(finals(rng, sweeps, seeds) + one_search)
            cases[f"one search, {seeds} finals, read as about optimizers, search luck {luck:.2f}"] = {
                "false better": float(np.mean(_any([better(intervals)]))),
                "false same": None,
                "all intervals hold": 1 - float(np.mean(_any([better(intervals)]))),
                "finds .2": None,
                "half-width": float(np.mean(of_pairs(intervals.widths))),
                "mean finals": seeds,
            }
    for count in (3, 5):
        name = f"{count} replicates of 2 finals, uneven optimizers, search luck 0.05"
        cases[name] = _of_replicates(rng, sweeps, count, 0.05, UNEVEN)
    for luck in LUCKS:
        cases[f"3 replicates grown to 5 while undecided, search luck {luck:.2f}"] = _grown(rng, sweeps, luck)
    return cases


def _grown(rng: np.random.Generator, sweeps: int, luck: float) -> dict[str, Any]:
    """Return the rates, at either look, of a sweep of 3 replicates that gets 2 more while a pair is undecided."""
    definition = SweepDefinition.model_construct(replicates=5, looks=(3, 5), added_looks=1)

    def claimed(claim: Callable[[Intervals], np.ndarray], means: tuple[float, ...] | float = 0.0) -> np.ndarray:
        values = replicates(rng, sweeps, 5, luck, means=means)
        first, second = (blocked(values[..., :look], definition.level_at(look)) for look in definition.looks_at)
        goes_on = _any([~(better(first) | same(first, MARGIN))])
        counts.append(np.where(goes_on, 10, 6))
        widths.append(second.widths)
        return claim(first) | claim(second) & goes_on[:, None, None]

    counts: list[np.ndarray] = []
    widths: list[np.ndarray] = []
    false = float(np.mean(_any([claimed(better)])))
    same_ladder = claimed(lambda of: same(of, MARGIN), tuple(_ladder(len(SPREADS))[:, 0]))
    found = claimed(better, (0.2,) + (0.0,) * (len(SPREADS) - 1))
    return {
        "false better": false,
        "false same": float(np.mean(_any([same_ladder]))),
        "all intervals hold": 1 - false,
        "finds .2": float(np.mean(of_first(found))),
        "half-width": float(np.mean(of_pairs(widths[-1]))),
        "mean finals": float(counts[-1].mean()),
    }


def _of_replicates(
    rng: np.random.Generator, sweeps: int, count: int, luck: float, spreads: tuple[float, ...]
) -> dict[str, Any]:
    null = blocked(replicates(rng, sweeps, count, luck, spreads))
    real = blocked(replicates(rng, sweeps, count, luck, spreads, (0.2,) + (0.0,) * (len(spreads) - 1)))
    edge = blocked(replicates(rng, sweeps, count, luck, spreads, tuple(_ladder(len(spreads))[:, 0])))
    return {
        "false better": float(np.mean(_any([better(null)]))),
        "false same": float(np.mean(_any([same(edge, MARGIN) & _truly_apart(len(spreads))]))),
        "all intervals hold": 1 - float(np.mean(_any([better(null)]))),
        "finds .2": float(np.mean(of_first(better(real)))),
        "half-width": float(np.mean(of_pairs(real.widths))),
        "mean finals": 2 * count,
    }


def _unpaired(values: np.ndarray) -> Intervals:
    counts = np.full(values.shape[:2], float(values.shape[2]))
    return games_howell(values.mean(axis=2), values.var(axis=2, ddof=1), counts, 1 - FINALS_RISK * (1 - LEVEL))


def _ladder(optimizers: int) -> np.ndarray:
    """Return means of which every pair differs by the margin or more, (optimizers, 1)."""
    return MARGIN * 1.0001 * np.arange(optimizers)[:, None]


def _truly_apart(optimizers: int) -> np.ndarray:
    return ~np.eye(optimizers, dtype=bool)


def _any(found: Any) -> np.ndarray:
    """Return in which sweeps any pair, at any look, is one of those."""
    return np.any([of_pairs(each).any(axis=-1) for each in found], axis=0)


def of_first(values: np.ndarray) -> np.ndarray:
    """Return the values of the first optimizer's pairs, (sweeps, others)."""
    return values[..., 0, 1:]


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}" if value > 1.5 else f"{value:.3f}"
