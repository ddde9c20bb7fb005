"""The chapter's network in Lightning, with its defaults but for what makes the work the same."""

import tempfile
import time
from pathlib import Path

import lightning
import torch
from torch import optim
from torch.nn import functional as F
from torch.utils.data import DataLoader

from tests import chapter
from tests.contenders import THREADS, Timed


class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.model = chapter.ConvNet()
        self.timed = []

    def training_step(self, batch, index):
        images, labels = batch
        return F.nll_loss(self.model(images), labels)

    def validation_step(self, batch, index):
        images, labels = batch
        predicted = self.model(images)
        self.log("test_loss", F.nll_loss(predicted, labels), on_epoch=True)
        self.log("test_accuracy", (predicted.argmax(dim=1) == labels).double().mean(), on_epoch=True)

    def configure_optimizers(self):
        return optim.Adadelta(self.parameters(), lr=0.5)

    def on_train_epoch_start(self):
        self.started = time.perf_counter()

    def on_train_epoch_end(self):  # the validation is over by then
        accuracy = float(self.trainer.callback_metrics["test_accuracy"])
        self.timed.append(Timed(time.perf_counter() - self.started, accuracy))


def run(folder: Path, epochs: int, variant: str) -> list[Timed]:
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    train, test = chapter.read(folder)
    module = Module()
    with tempfile.TemporaryDirectory() as root:
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=root,
        )
        trainer.fit(module, DataLoader(train, batch_size=32, shuffle=True), DataLoader(test, batch_size=500))
    return module.timed
