"""Turn any error of a user's own model or optimizer into an error of one line that names them."""

import contextlib
from collections.abc import Iterator

from harness.config import ModelConfig, OwnConfig, RunConfig
from harness.errors import NOTHING, BadInputError, RefusedError, described

Thing = tuple[str, object]  # the field and value that an error names


def model_of(config: RunConfig) -> Thing:
    """Return the field and value with which an error names the model."""
    return ("the chapter's model", NOTHING) if isinstance(config.model, ModelConfig) else ("model", config.model.name)


def own_parts_of(config: RunConfig) -> Thing:
    """Return the field and value with which an error names the user's own model and optimizer, else the dataset."""
    parts = {"model": config.model, "optimizer": config.optimizer}
    owns = [(kind, part.name) for kind, part in parts.items() if isinstance(part, OwnConfig)]
    if not owns:
        return "dataset", config.dataset.name
    *first, (kind, name) = owns
    return "".join(f"{other} {other_name!r} and " for other, other_name in first) + kind, name


@contextlib.contextmanager
def guarded(thing: Thing, what: str, *, expected: str = "", next_step: str = "correct your code") -> Iterator[None]:
    """Turn any error of the user's own code in the block into an error of one line.

    Raises:
        BadInputError: the block raised an error that is not a refusal already.
    """
    try:
        yield
    except RefusedError:
        raise
    except (Exception, SystemExit) as error:
        problem = f"{what} ({described(error)})"
        raise BadInputError(*thing, problem, expected=expected, next_step=next_step) from None
