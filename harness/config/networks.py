"""Define the hyperparameters of the built-in networks, and the config of a user's own model."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, SerializerFunctionWrapHandler, Tag, model_serializer

from harness.config.base import FrozenModel, Probability
from harness.config.plugins import OwnConfig
from harness.errors import BadInputError

Activation = Literal["relu", "leaky_relu", "tanh", "sigmoid"]


class _FitsItsData(FrozenModel):
    """Configure a network whose first and last layers fit the data.

    For a dataset of the registry, the registry gives the shape and the number of classes. For a user's own data,
    `shape` is the shape of an image (channels, height, width) or of a row (features,), and `classes` is the number of
    classes. None means MNIST's; a run that begins looks at the data and sets both fields if the data differ.
    """

    added_later: ClassVar[frozenset[str]] = frozenset({"shape", "classes"})

    shape: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    classes: Annotated[int, Field(ge=1)] | None = None

    @model_serializer(mode="wrap")
    def _without_what_is_unsaid(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out `shape` and `classes` if they are None, so that configs without them keep their text."""
        values: dict[str, Any] = dump(self)
        return {key: each for key, each in values.items() if key not in ("shape", "classes") or each is not None}


class ModelConfig(_FitsItsData):
    """Configure the chapter's ConvNet. `dropout`: after pooling (of whole channels), and before the last layer."""

    added_later: ClassVar[frozenset[str]] = _FitsItsData.added_later | {"name"}

    name: Literal["convnet"] = "convnet"
    activation: Activation = "relu"
    leaky_relu_slope: Annotated[float, Field(ge=0, le=1)] = 0.01
    dropout: tuple[Probability, Probability] = (0.10, 0.25)


class MLPConfig(_FitsItsData):
    """Configure a multilayer perceptron for images or rows of features: hidden layers of the sizes `hidden`.

    `dropout` follows the activation of each hidden layer.
    """

    name: Literal["mlp"] = "mlp"
    hidden: Annotated[tuple[Annotated[int, Field(ge=1, le=100_000)], ...], Field(min_length=1)] = (128, 64)
    activation: Activation = "relu"
    dropout: Probability = 0.2


class OwnModelConfig(OwnConfig):
    """Configure a user's own `torch.nn.Module`, from images (n, channels, height, width) to outputs (n, classes).

    `outputs` says what the outputs are. None means log-probabilities; a run that begins tests the model, and sets
    `logits` if its outputs are logits.
    """

    outputs: Literal["log_probabilities", "logits"] | None = None

    @model_serializer(mode="wrap")
    def _without_unsaid_outputs(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out `outputs` if it is None, so that configs from before this field keep their text."""
        values: dict[str, Any] = dump(self)
        return {key: each for key, each in values.items() if key != "outputs" or each is not None}


NetworkConfig = ModelConfig | MLPConfig
LEAST_SIDE = 6  # pixels; the ConvNet's convolutions and pooling reduce this side to one pixel
NETWORKS: dict[str, type[NetworkConfig]] = {"convnet": ModelConfig, "mlp": MLPConfig}


def _kind(value: Any) -> str:  # noqa: ANN401
    """Return the tag of a value's class; a value without a name is the ConvNet's, as in older versions."""
    name = value.get("name", "convnet") if isinstance(value, Mapping) else getattr(value, "name", "convnet")
    return "own" if ":" in str(name) else str(name)


AnyModelConfig = NetworkConfig | OwnModelConfig
AnyModel = Annotated[
    Annotated[ModelConfig, Tag("convnet")] | Annotated[MLPConfig, Tag("mlp")] | Annotated[OwnModelConfig, Tag("own")],
    Discriminator(_kind),
]


def require_fitting(model: NetworkConfig, shape: tuple[int, ...], dataset: str) -> None:
    """Check that the network can process images or rows of this shape; `dataset` is named in the error.

    Raises:
        BadInputError: a ConvNet gets rows of features, or images that are too small for its layers.
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
        "model", "convnet", what, expected="mlp, or a model of your own", next_step="set model.name to one of these"
    )
