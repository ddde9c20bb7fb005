"""Define the config of a user's own optimizer, model or dataset: its name, `module:name`, and its arguments."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, JsonValue, model_validator

from harness.config.arguments import as_in_signature, with_defaults
from harness.config.base import FrozenModel

OwnName = Annotated[str, Field(pattern=r"^[^\W\d][\w.]*:[^\W\d][\w.]*$")]


class OwnConfig(FrozenModel):
    """Configure a user's own class or function: its name, `module:name`, and plain values as keyword arguments.

    An argument that is left out gets the default of the signature, if this default is a plain value.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    first_argument: ClassVar[int] = 0  # index of the first argument that a config can give

    name: OwnName

    @model_validator(mode="before")
    @classmethod
    def _as_its_signature_has_it(cls, values: Any) -> Any:  # noqa: ANN401
        return with_defaults(values, cls.model_fields, cls.first_argument) if isinstance(values, Mapping) else values

    @property
    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of the call; a list is a list or a tuple, as the signature has it.

        Raises:
            BadInputError: the class or function does not exist or can't be called.
        """
        return as_in_signature(self.name, self.__pydantic_extra__)


def own_or(ours: str) -> Callable[[Any], str]:
    """Return a function that returns "own" for a config whose name has a colon, and `ours` for any other config."""

    def kind(value: Any) -> str:  # noqa: ANN401
        name = value.get("name") if isinstance(value, Mapping) else getattr(value, "name", None)
        return "own" if isinstance(name, str) and ":" in name else ours

    return kind
