"""From the options of the command line to settings, spaces and a run's config: --set, --search, --seed, --device."""

import ast
import json
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from harness.errors import BadInputError

if TYPE_CHECKING:
    from harness.config import RunConfig
    from studies.space import Dimension


def resolve_config(
    experiment: str, seed: str | None, epochs: str | None, device: str, settings: list[str], fast: bool
) -> "RunConfig":
    """The experiment's config with the command line's settings, on a device that is there."""
    from experiments import catalog
    from experiments.planning import plan_run

    base = catalog.load_run(experiment)
    texts = _by_key("--set", settings, "optimizer.lr=0.1")
    texts |= {key: text for key, text in (("seed", seed), ("epochs", epochs)) if text is not None}
    return plan_run(base, _parse_settings(base, texts), device, fast)


def names_of(text: str | None) -> tuple[str, ...]:
    """Return the names that a text has between its commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()


def settings_of(base: "RunConfig", settings: Iterable[str]) -> dict[str, Any]:
    """Return the values that are set, by config key."""
    return _parse_settings(base, _by_key("--set", settings, "model.dropout.0=0.2"))


def searched_of(searched: Iterable[str]) -> "dict[str, Dimension]":
    """Return the ranges and choices that are to be searched, by config key."""
    from studies.notation import parse_dimension

    texts = _by_key("--search", searched, "'optimizer.weight_decay=log(1e-5, 1e-1)'")
    return {key: parse_dimension(text) for key, text in texts.items()}


def _by_key(option: str, texts: Iterable[str], example: str) -> dict[str, str]:
    """Return what each text says of a key, by the key."""
    found = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator:
            raise BadInputError(option, text, "has no '='", expected=f"KEY=VALUE, such as {option} {example}")
        found[key] = value
    return found


def _parse_settings(base: "RunConfig", texts: dict[str, str]) -> dict[str, Any]:
    """The values by dotted key. What an argument of a user's own takes as text alone stays text, such as 32."""
    from harness.config import OWN
    from harness.config.arguments import admits

    values = {key: _parse_value(text) for key, text in texts.items()}
    for key, text in texts.items():
        part, _, argument = key.partition(".")
        name = str(values.get(f"{part}.name", getattr(getattr(base, part, None), "name", None)))
        own = part in OWN and ":" in name
        if own and not admits(name, argument, values[key]) and admits(name, argument, text):
            values[key] = text
    return values


def _parse_value(text: str) -> Any:  # noqa: ANN401
    """A literal of JSON or of Python (0.1, true, False, None, [0.1, 0.25]), else the text itself (adam)."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text
