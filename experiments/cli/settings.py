"""From what a person says to a run config: --set, --seed, --epochs, --device and --fast."""

import ast
import json
import warnings
from typing import TYPE_CHECKING, Any

from harness.errors import BadInputError

if TYPE_CHECKING:
    from harness.config import RunConfig


def resolve_config(
    experiment: str, seed: str | None, epochs: str | None, device: str, settings: list[str], fast: bool
) -> "RunConfig":
    """The experiment's config with the command line's settings, on a device that is there."""
    from experiments import catalog
    from harness.config import with_settings

    base = catalog.load_run(experiment)
    texts = dict(_split_setting(setting) for setting in settings)
    texts |= {key: text for key, text in (("seed", seed), ("epochs", epochs)) if text is not None}
    values = _parse_settings(base, texts)
    config = with_settings(base, values | ({} if "device" in values else {"device": "cpu"}))
    from harness.training.devices import fast_settings, resolve_device

    resolved = resolve_device(str(values.get("device", device)))
    profile = {key: value for key, value in fast_settings(resolved).items() if key not in values} if fast else {}
    return with_settings(config, {"device": resolved} | profile)


def _split_setting(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator:
        raise BadInputError("--set", text, "has no '='", expected="KEY=VALUE, such as --set optimizer.lr=0.1")
    return key, value


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
