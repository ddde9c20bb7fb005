"""Training images as torchvision's v2 transforms change them, each by itself, drawn from the global generator."""

from collections.abc import Callable

import torch
from torch import Tensor

from harness.config import AugmentationConfig
from harness.errors import BadInputError


def build_augmentation(config: AugmentationConfig) -> Callable[[Tensor], Tensor] | None:
    """Return what augments images (n, height, width) or (n, channels, height, width); None where nothing is done.

    What it returns raises BadInputError of features (n, features), which can't be turned.
    """
    if config == AugmentationConfig():
        return None
    # imported here: torchvision takes a second, and most runs do without it
    from torchvision.transforms import InterpolationMode, v2

    transform = v2.Compose(
        [
            v2.RandomHorizontalFlip(config.horizontal_flip),
            v2.RandomAffine(
                degrees=config.rotation,
                translate=(config.translation, config.translation),
                scale=(1 - config.scale, 1 + config.scale),
                interpolation=InterpolationMode.BILINEAR,
            ),
        ]
    )

    def augment(images: Tensor) -> Tensor:
        if images.dim() == 2:
            raise BadInputError(
                "augmentation",
                problem=f"of rows of {images.shape[1]} features",
                expected="images",
                next_step="leave what begins with augmentation. out",
            )
        with_channels = images if images.dim() == 4 else images.unsqueeze(1)
        return torch.stack([transform(image) for image in with_channels]).view_as(images)

    return augment
