"""How an error names a user's own model or optimizer, and what their code raises, in one line."""

import contextlib
from collections.abc import Iterator

from harness.config import ModelConfig, OwnConfig, RunConfig
from harness.errors import NOTHING, BadInputError, RefusedError, described

Thing = tuple[str, object]  # field and value of an error


def model_of(config: RunConfig) -> Thing:
    """Return the model as an error names it."""
    return ("the chapter's model", NOTHING) if isinstance(config.model, ModelConfig) else ("model", config.model.name)


def own_parts_of(config: RunConfig) -> Thing:
    """Return the model, the optimizer or both, whichever are a user's own, as errors name them; else the dataset."""
    parts = {"model": config.model, "optimizer": config.optimizer}
    owns = [(kind, part.name) for kind, part in parts.items() if isinstance(part, OwnConfig)]
    if not owns:
        return "dataset", config.dataset.name
    *first, (kind, name) = owns
    return "".join(f"{other} {other_name!r} and " for other, other_name in first) + kind, name


@contextlib.contextmanager
def guarded(thing: Thing, what: str, *, expected: str = "", next_step: str = "correct it") -> Iterator[None]:
    """Raise whatever a user's own code raises as one line."""
    try:
        yield
    except RefusedError:
        raise
    except Exception as error:
        problem = f"{what} ({described(error)})"
        raise BadInputError(*thing, problem, expected=expected, next_step=next_step) from None
