"""Parse the options --set, --search, --seed and --device into settings, spaces and a run's config."""

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
    """Return the experiment's config with the command line's settings, on a device that this machine has.

    Raises:
        BadInputError: the experiment, a setting or the device is invalid.
    """
    from experiments import catalog
    from experiments.planning import plan_run

    base = catalog.load_run(experiment)
    texts = _by_key("--set", settings, "optimizer.lr=0.1")
    texts |= {key: text for key, text in (("seed", seed), ("epochs", epochs)) if text is not None}
    return plan_run(base, _parse_settings(base, texts), device, fast)


def names_of(text: str | None) -> tuple[str, ...]:
    """Return the names in a list that is separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()


def settings_of(base: "RunConfig", settings: Iterable[str]) -> dict[str, Any]:
    """Return the values of `--set` options (`KEY=VALUE`) by config key."""
    return _parse_settings(base, _by_key("--set", settings, "model.dropout.0=0.2"))


def searched_of(searched: Iterable[str]) -> "dict[str, Dimension]":
    """Return the ranges and choices of `--search` options (`KEY=RANGE`) by config key."""
    from studies.notation import parse_dimension

    texts = _by_key("--search", searched, "'optimizer.weight_decay=log(1e-5, 1e-1)'")
    return {key: parse_dimension(text) for key, text in texts.items()}


def _by_key(option: str, texts: Iterable[str], example: str) -> dict[str, str]:
    """Return the text after the `=` of each `KEY=VALUE`, by key.

    Raises:
        BadInputError: a text has no `=`.
    """
    found = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator:
            raise BadInputError(option, text, "has no '='", expected=f"KEY=VALUE, such as {option} {example}")
        found[key] = value
    return found


def _parse_settings(base: "RunConfig", texts: dict[str, str]) -> dict[str, Any]:
    """Return the parsed values by dotted key.

    A value such as 32 stays text if it is for an argument of the user's own code that accepts only text.
    """
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
    """Return the value of a JSON or Python literal (0.1, true, False, None, [0.1, 0.25]), else the text (adam)."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text
