"""The chapter's network in skorch, with its defaults but for what makes the work the same."""

from pathlib import Path

import skorch
import torch
from skorch.callbacks import EpochScoring
from skorch.helper import predefined_split
from torch import nn, optim

from tests import chapter
from tests.contenders import THREADS, Timed


def _accuracy(net: skorch.NeuralNet, images: object, labels: object) -> float:
    return float((torch.as_tensor(net.predict(images)).argmax(dim=1) == torch.as_tensor(labels)).double().mean())


def run(folder: Path, epochs: int, variant: str) -> list[Timed]:
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    train, test = chapter.read(folder)
    net = skorch.NeuralNet(
        chapter.ConvNet,
        criterion=nn.NLLLoss,
        optimizer=optim.Adadelta,
        lr=0.5,
        batch_size=32,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        iterator_valid__batch_size=500,
        train_split=predefined_split(test),
        callbacks=[("accuracy", EpochScoring(_accuracy, name="accuracy", lower_is_better=False))],
        verbose=0,
    )
    net.fit(train, y=None)
    return [Timed(epoch["dur"], epoch["accuracy"]) for epoch in net.history]
