"""The usual Optuna and MLflow example: one study, one process, a plain loop in its objective, each epoch logged.

Variant: `fixed` for the fixed list of trials; or for how many seconds Optuna chooses trials, and its seed. The best
trial of each optimizer is then trained on fresh seeds.
"""

import os
import tempfile
import time
from pathlib import Path

import mlflow
import optuna
import torch
from torch import optim
from torch.nn import functional as F
from torch.utils.data import DataLoader, random_split

from harness.config import RunConfig, with_settings
from tests import chapter
from tests.contenders import THREADS, Swept
from tests.contenders.sweeps import FIXED, FIXED_TRIALS, default_sweep
from tests.contenders.winners import winners

OPTIMIZERS = {
    "sgd": optim.SGD,
    "adagrad": optim.Adagrad,
    "adadelta": optim.Adadelta,
    "rmsprop": optim.RMSprop,
    "adam": optim.Adam,
}


def train(values, train_images, validation_images, epochs, seed):
    """The accuracy after the last epoch."""
    torch.manual_seed(seed)
    model = chapter.ConvNet()
    model.dp1.p, model.dp2.p = values["dropout1"], values["dropout2"]
    optimizer = OPTIMIZERS[values["optimizer"]](model.parameters(), lr=values["lr"])
    train_loader = DataLoader(train_images, batch_size=values["batch_size"], shuffle=True)
    validation_loader = DataLoader(validation_images, batch_size=500)
    with mlflow.start_run():
        mlflow.log_params({**values, "seed": seed})
        for epoch in range(1, epochs + 1):
            model.train()
            for images, labels in train_loader:
                optimizer.zero_grad()
                loss = F.nll_loss(model(images), labels)
                loss.backward()
                optimizer.step()
            model.eval()
            correct = 0
            with torch.no_grad():
                for images, labels in validation_loader:
                    correct += int((model(images).argmax(dim=1) == labels).sum())
            mlflow.log_metrics({"loss": loss.item(), "accuracy": correct / len(validation_images)}, step=epoch)
    return correct / len(validation_images)


def config_of(values) -> RunConfig:
    """Return the config of our run that trains as the plain loop does with these values."""
    dropout = values["dropout1"], values["dropout2"]
    optimizer = {"optimizer.name": values["optimizer"], "optimizer.lr": values["lr"]}
    return with_settings(RunConfig(), {**optimizer, "batch_size": values["batch_size"], "model.dropout": dropout})


def run(folder: Path, epochs: int, variant: str) -> list[Swept]:
    torch.set_num_threads(THREADS)
    images, _ = chapter.read(folder)
    train_images, validation_images = random_split(images, [50_000, 10_000])
    limit, seed = (None, 0) if variant == FIXED else map(int, variant.split())

    def objective(trial: optuna.Trial) -> float:
        values = {
            "optimizer": trial.suggest_categorical("optimizer", list(OPTIMIZERS)),
            "lr": trial.suggest_float("lr", 1e-5, 1.0, log=True),
            "batch_size": trial.suggest_categorical("batch_size", [32, 64, 128, 256]),
            "dropout1": trial.suggest_float("dropout1", 0.0, 0.5),
            "dropout2": trial.suggest_float("dropout2", 0.0, 0.6),
        }
        return train(values, train_images, validation_images, epochs, seed)

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as project:
        os.chdir(project)
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        if variant == FIXED:
            for name, rate, batch_size in FIXED_TRIALS:
                settings = {"optimizer": name, "lr": rate, "batch_size": batch_size}
                study.enqueue_trial({**settings, "dropout1": 0.1, "dropout2": 0.25})
        study.optimize(objective, n_trials=None if limit else len(FIXED_TRIALS), timeout=limit)
        seconds = time.perf_counter() - started
        tried = [(trial.value, config_of(trial.params)) for trial in study.trials]
        found = {} if variant == FIXED else winners(tried, default_sweep(seed).final_seeds, epochs, folder)
    return [Swept(seconds, len(study.trials), found)]
