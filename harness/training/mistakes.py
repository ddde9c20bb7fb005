"""Find a model's mistakes: its confusion matrix, and the wrong predictions of the highest probability."""

import base64
from typing import Any

import torch
from torch import Tensor

from harness.records import Mistake, Mistakes
from harness.training.images import Split, picture

KEPT = 20
LARGEST_MATRIX = 2_000  # classes; of more, the confusion matrix would have more cells than there is memory for


def find_mistakes(log_probabilities: Tensor, data: Split, class_names: tuple[str, ...]) -> Mistakes | None:
    """Return the mistakes in a model's log-probabilities (n, classes) for the images of `data`.

    Return None for more than `LARGEST_MATRIX` classes.

    Raises:
        ValueError: the number of names differs from the number of outputs, or a label has no name.
    """
    log_probabilities, truths = log_probabilities.cpu(), data.labels.cpu()
    classes = len(class_names)
    if log_probabilities.shape != (len(truths), classes) or int(truths.max()) >= classes:
        raise ValueError(
            f"outputs of shape {tuple(log_probabilities.shape)} for {len(truths)} labels up to {int(truths.max())}: "
            f"expected ({len(truths)}, {classes}), as many outputs as names"
        )
    if classes > LARGEST_MATRIX:
        return None
    predictions = log_probabilities.argmax(dim=1)
    probabilities = log_probabilities.double().amax(dim=1).exp()
    wrong = (predictions != truths).nonzero().squeeze(1)
    surest = wrong[probabilities[wrong].argsort(descending=True, stable=True)][:KEPT]
    confusion = torch.bincount(truths * classes + predictions, minlength=classes**2).reshape(classes, classes)
    return Mistakes(
        class_names=class_names,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        most_confident=tuple(
            Mistake(
                index=index,
                ground_truth=int(truths[index]),
                prediction=int(predictions[index]),
                probability=float(probabilities[index]),
                **_pixels(data.images[index]),
            )
            for index in surest.tolist()
        ),
        wrong=tuple(wrong.tolist()),
    )


def _pixels(image: Tensor) -> dict[str, Any]:
    shown = picture(image)
    if shown is None:
        return {"pixels": "", "shape": ()}
    return {"pixels": base64.b64encode(shown.contiguous().numpy().tobytes()).decode(), "shape": tuple(shown.shape)}
