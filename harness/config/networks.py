"""The chapter's ConvNet as far as it can be set, and a user's own model."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, SerializerFunctionWrapHandler, Tag, model_serializer

from harness.config.base import FrozenModel, Probability
from harness.config.plugins import OwnConfig, own_or


class ModelConfig(FrozenModel):
    """The chapter's ConvNet. `dropout`: after pooling (whole channels), before the last layer."""

    activation: Literal["relu", "leaky_relu", "tanh", "sigmoid"] = "relu"
    leaky_relu_slope: Annotated[float, Field(ge=0, le=1)] = 0.01
    dropout: tuple[Probability, Probability] = (0.10, 0.25)


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


AnyModelConfig = ModelConfig | OwnModelConfig
AnyModel = Annotated[
    Annotated[ModelConfig, Tag("chapter")] | Annotated[OwnModelConfig, Tag("own")],
    Discriminator(own_or("chapter")),
]
