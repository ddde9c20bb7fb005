"""Augment training images with torchvision's v2 transforms; each image is drawn from the global generator."""

from collections.abc import Callable

import torch
from torch import Tensor

from harness.config import AugmentationConfig
from harness.errors import BadInputError


def build_augmentation(config: AugmentationConfig) -> Callable[[Tensor], Tensor] | None:
    """Return a function that augments images (n, height, width) or (n, channels, height, width).

    Return None if the config asks for no augmentation. The function raises BadInputError for features (n, features),
    which can't be augmented.
    """
    if config == AugmentationConfig():
        return None
    # imported here, because torchvision takes a second and most runs do not need it
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
                problem=f"is set for rows of {images.shape[1]} features",
                expected="images",
                next_step="remove the settings whose keys begin with augmentation.",
            )
        with_channels = images if images.dim() == 4 else images.unsqueeze(1)
        return torch.stack([transform(image) for image in with_channels]).view_as(images)

    return augment
