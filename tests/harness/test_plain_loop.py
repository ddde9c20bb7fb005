"""What a user brings trains as in the plain PyTorch loop that they would write, loss by loss and bit by bit."""

import math
import random

import numpy as np
import pytest
import pytorch_optimizer
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, TensorDataset

from harness.config import RunConfig, with_settings
from harness.training.checks import require_sound
from harness.training.data import load_splits
from harness.training.loop import initial_state
from tests.metrics import in_slices
from tests.own import shapes
from tests.training import train_epochs

HERE = "tests.own.shapes"
EPOCHS = 3
BARS = {
    "dataset.name": f"{HERE}:bars",
    "dataset.train_size": 245,  # the last batch is a smaller one
    "dataset.validation_size": 75,
    "dataset.test_size": 80,
    "threads": 1,
    "epochs": EPOCHS,
}


def plain_loop(config, model_class, optimizer_class, log_probabilities=False, **optimizer_arguments):
    """Losses of all steps, test losses and accuracies by epoch, and the weights at the end."""
    data = load_splits(config.dataset, "cpu")
    torch.manual_seed(config.seed)
    np.random.seed(config.seed)
    random.seed(config.seed)
    model = model_class()
    optimizer = optimizer_class(model.parameters(), **optimizer_arguments)
    train = DataLoader(TensorDataset(_pixels(data.train), data.train.labels), config.batch_size, shuffle=True)
    test = DataLoader(TensorDataset(_pixels(data.test), data.test.labels), config.evaluation_batch_size)
    scheduler = None
    if config.schedule.name == "cosine":
        scheduler = CosineAnnealingLR(optimizer, T_max=EPOCHS * math.ceil(245 / config.batch_size))
    loss_of = F.nll_loss if log_probabilities and not config.label_smoothing else F.cross_entropy
    smoothing = {"label_smoothing": config.label_smoothing} if config.label_smoothing else {}
    epochs = []
    for _ in range(EPOCHS):
        model.train()
        if hasattr(optimizer, "train"):
            optimizer.train()
        seen = 0.0
        for images, labels in train:

            def closure(images=images, labels=labels):
                optimizer.zero_grad()
                loss = loss_of(model(images), labels, **smoothing)
                loss.backward()
                if config.gradient_clip_norm:
                    nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip_norm)
                return loss

            if isinstance(optimizer, torch.optim.LBFGS):
                loss = optimizer.step(closure)
            elif isinstance(optimizer, pytorch_optimizer.SAM):
                loss = closure()
                optimizer.step(closure)
            else:
                loss = closure()
                optimizer.step()
            if scheduler:
                scheduler.step()
            seen += loss.item() * len(images)
        model.eval()
        if hasattr(optimizer, "eval"):
            optimizer.eval()
        with torch.no_grad():
            outputs = [(model(images), labels) for images, labels in test]
        plain = F.nll_loss if log_probabilities else F.cross_entropy
        test_loss = sum(plain(output, labels, reduction="sum").item() for output, labels in outputs) / 80
        right = sum(int((output.argmax(dim=1) == labels).sum()) for output, labels in outputs)
        epochs.append((seen / 245, test_loss, right / 80))
    return epochs, model.state_dict()


def _pixels(split):
    images = split.images[:]
    if images.dtype != torch.uint8:
        return images
    return (images.float() / 255 - 0.1302) / 0.3069


CASES = {
    "logits, SGD of torch": ("Scores", shapes.Scores, "sgd", torch.optim.SGD, {"lr": 0.1}, {}),
    "log-probabilities": ("Small", shapes.Small, "adam", torch.optim.Adam, {"lr": 0.01}, {}),
    "logits, smoothed labels": (
        "Scores",
        shapes.Scores,
        "sgd",
        torch.optim.SGD,
        {"lr": 0.1},
        {"label_smoothing": 0.1},
    ),
    "log-probabilities, smoothed labels": (
        "Small",
        shapes.Small,
        "sgd",
        torch.optim.SGD,
        {"lr": 0.1},
        {"label_smoothing": 0.1},
    ),
    "clipped gradients, cosine schedule": (
        "Scores",
        shapes.Scores,
        "adamw",
        torch.optim.AdamW,
        {"lr": 0.01},
        {"gradient_clip_norm": 0.5, "schedule.name": "cosine"},
    ),
    "weights and noise from numpy and Python": ("Drawn", shapes.Drawn, "sgd", torch.optim.SGD, {"lr": 0.1}, {}),
    "outputs of float64": ("Precise", shapes.Precise, "sgd", torch.optim.SGD, {"lr": 0.1}, {}),
    "batch normalisation": ("Normed", shapes.Normed, "sgd", torch.optim.SGD, {"lr": 0.1}, {}),
    "an optimizer of one's own": (
        "Scores",
        shapes.Scores,
        f"{HERE}:SignDescent",
        shapes.SignDescent,
        {"lr": 0.01},
        {},
    ),
    "a rate of another name": (
        "Scores",
        shapes.Scores,
        f"{HERE}:Adaptive",
        shapes.Adaptive,
        {"learning_rate": 0.1},
        {},
    ),
    **{
        name: (
            "Scores",
            shapes.Scores,
            f"pytorch_optimizer:{name}",
            getattr(pytorch_optimizer, name),
            {"lr": 0.01},
            {},
        )
        for name in ("Lion", "Prodigy", "ScheduleFreeAdamW", "ScheduleFreeSGD")
    },
    "a schedule-free optimizer under a schedule": (
        "Scores",
        shapes.Scores,
        "pytorch_optimizer:ScheduleFreeAdamW",
        pytorch_optimizer.ScheduleFreeAdamW,
        {"lr": 0.01},
        {"schedule.name": "cosine"},
    ),
    **{
        f"a closure, {name}": ("Scores", shapes.Scores, name, torch.optim.LBFGS, arguments, {})
        for name, arguments in (
            ("lbfgs", {"max_iter": 3, "history_size": 5, "line_search_fn": "strong_wolfe"}),
            ("torch.optim:LBFGS", {"lr": 0.1, "max_iter": 2, "history_size": 5}),
        )
    },
    "two passes": ("Scores", shapes.Scores, f"{HERE}:Sharp", shapes.Sharp, {"lr": 0.01, "rho": 0.1}, {}),
    "two passes, clipped gradients, cosine schedule": (
        "Scores",
        shapes.Scores,
        f"{HERE}:Sharp",
        shapes.Sharp,
        {"lr": 0.01},
        {"gradient_clip_norm": 0.5, "schedule.name": "cosine"},
    ),
    "Adafactor without a rate": (
        "Scores",
        shapes.Scores,
        "pytorch_optimizer:AdaFactor",
        pytorch_optimizer.AdaFactor,
        {"lr": None},
        {},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("dataset", ["bars", "grey_bars"])
def test_own_parts_train_as_in_the_plain_loop_whole_and_in_slices(case, dataset):
    model_name, model, optimizer_name, optimizer, arguments, more = case
    settings = BARS | {"dataset.name": f"{HERE}:{dataset}", "model.name": f"{HERE}:{model_name}"}
    settings |= {"optimizer.name": optimizer_name} | {f"optimizer.{key}": each for key, each in arguments.items()}
    config = with_settings(RunConfig(), settings | more)
    data = load_splits(config.dataset, "cpu")
    config = require_sound(config, data)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        epochs, weights = plain_loop(config, model, optimizer, model_name == "Small", **arguments)
    torch.set_num_threads(threads)
    whole = train_epochs(config, initial_state(config), data, EPOCHS, ["test"])
    assert [each.test_accuracy for each in whole.metrics] == [accuracy for _, _, accuracy in epochs]
    assert [each.test_loss for each in whole.metrics] == pytest.approx([loss for _, loss, _ in epochs], rel=1e-7)
    assert [each.train_loss for each in whole.metrics] == pytest.approx([loss for loss, _, _ in epochs], rel=1e-7)
    assert whole.state.model.keys() == weights.keys()
    assert all(torch.equal(whole.state.model[name], weights[name]) for name in weights)
    sliced, _ = in_slices(config, data, EPOCHS, ["test"])
    assert sliced.hash() == whole.state.hash()
