"""What a model gets wrong: which class it takes for which, and the images of which it was surest and wrong."""

import base64

import torch
from torch import Tensor

from harness.data import Split, picture
from harness.records import Mistake, Mistakes

KEPT = 20


def find_mistakes(log_probabilities: Tensor, data: Split, class_names: tuple[str, ...]) -> Mistakes:
    """What is wrong in the log-probabilities (n, classes) that a model gave the images of `data`."""
    log_probabilities, truths = log_probabilities.cpu(), data.labels.cpu()
    predictions = log_probabilities.argmax(dim=1)
    probabilities = log_probabilities.double().amax(dim=1).exp()
    wrong = (predictions != truths).nonzero().squeeze(1)
    surest = wrong[probabilities[wrong].argsort(descending=True, stable=True)][:KEPT]
    classes = len(class_names)
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
                pixels=base64.b64encode(picture(data.images[index]).numpy().tobytes()).decode(),
            )
            for index in surest.tolist()
        ),
    )
