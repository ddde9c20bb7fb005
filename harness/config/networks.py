"""The networks that ship as far as they can be set, and a user's own model."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, SerializerFunctionWrapHandler, Tag, model_serializer

from harness.config.base import FrozenModel, Probability
from harness.config.plugins import OwnConfig
from harness.errors import BadInputError

Activation = Literal["relu", "leaky_relu", "tanh", "sigmoid"]


class _FitsItsData(FrozenModel):
    """A network whose first and last layers are made for the data.

    Of a dataset of the registry they are made for what is known there. Of a user's own they are made for `shape`,
    that of an image (channels, height, width) or of a row (features,), and for so many `classes`. None stands for
    MNIST's until a run begins, which looks at the data and sets both where they are others.
    """

    added_later: ClassVar[frozenset[str]] = frozenset({"shape", "classes"})

    shape: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    classes: Annotated[int, Field(ge=1)] | None = None

    @model_serializer(mode="wrap")
    def _without_what_is_unsaid(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave both out where they are None: there is nothing to set then."""
        values: dict[str, Any] = dump(self)
        return {key: each for key, each in values.items() if key not in ("shape", "classes") or each is not None}


class ModelConfig(_FitsItsData):
    """The chapter's ConvNet. `dropout`: after pooling (whole channels), before the last layer."""

    added_later: ClassVar[frozenset[str]] = _FitsItsData.added_later | {"name"}

    name: Literal["convnet"] = "convnet"
    activation: Activation = "relu"
    leaky_relu_slope: Annotated[float, Field(ge=0, le=1)] = 0.01
    dropout: tuple[Probability, Probability] = (0.10, 0.25)


class MLPConfig(_FitsItsData):
    """A multilayer perceptron, of images or rows of features: a layer of each size of `hidden`, then the classes.

    `dropout` is after each hidden layer's activation.
    """

    name: Literal["mlp"] = "mlp"
    hidden: Annotated[tuple[Annotated[int, Field(ge=1, le=100_000)], ...], Field(min_length=1)] = (128, 64)
    activation: Activation = "relu"
    dropout: Probability = 0.2


class OwnModelConfig(OwnConfig):
    """A user's own `torch.nn.Module`: images (n, channels, height, width) to outputs (n, classes).

    `outputs` says what they are. None stands for log-probabilities until a run begins, which looks at them and sets
    `logits` where they are logits.
    """

    outputs: Literal["log_probabilities", "logits"] | None = None

    @model_serializer(mode="wrap")
    def _without_unsaid_outputs(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave `outputs` out where they are None, so that configs of before there was the field keep their text."""
        values: dict[str, Any] = dump(self)
        return {key: each for key, each in values.items() if key != "outputs" or each is not None}


NetworkConfig = ModelConfig | MLPConfig
LEAST_SIDE = 6  # pixels, of which the ConvNet leaves one
NETWORKS: dict[str, type[NetworkConfig]] = {"convnet": ModelConfig, "mlp": MLPConfig}


def _kind(value: Any) -> str:  # noqa: ANN401
    """Which kind of config a value is of; one without a name is the ConvNet's, which once was the only one."""
    name = value.get("name", "convnet") if isinstance(value, Mapping) else getattr(value, "name", "convnet")
    return "own" if ":" in str(name) else str(name)


AnyModelConfig = NetworkConfig | OwnModelConfig
AnyModel = Annotated[
    Annotated[ModelConfig, Tag("convnet")] | Annotated[MLPConfig, Tag("mlp")] | Annotated[OwnModelConfig, Tag("own")],
    Discriminator(_kind),
]


def require_fitting(model: NetworkConfig, shape: tuple[int, ...], dataset: str) -> None:
    """Refuse a ConvNet of rows of features, or of images that it leaves no pixel of.

    Raises:
        BadInputError: it is refused.
    """
    if isinstance(model, MLPConfig):
        return
    if len(shape) == 1:
        what = f"takes images, and {dataset!r} has rows of {shape[0]} features"
    elif min(shape[1:]) < LEAST_SIDE:
        least = f"{LEAST_SIDE} by {LEAST_SIDE}"
        what = f"takes images of {least} pixels or more, and {dataset!r} has {shape[1]} by {shape[2]}"
    else:
        return
    raise BadInputError(
        "model", "convnet", what, expected="mlp, or a model of your own", next_step="set model.name to it"
    )
