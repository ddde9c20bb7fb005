"""Whether a search suffers from a sampler that sees the best and the latest of its trials only."""

import tempfile
from pathlib import Path
from unittest import mock

import numpy as np

from experiments import catalog
from harness.records import Outcome
from studies.definition import SweepDefinition
from studies.search import sampling
from studies.search.storage import Journal
from studies.search.study import Search

SEEDS = range(6)
TRIALS = 2_000
NOISE = 0.01  # standard deviation of an accuracy
LATER = slice(sampling.LATEST + sampling.STEP, None)  # where the window makes a difference


def main() -> None:
    """how good are the best trial and the later trials of 2,000, of TPE with its window and seeing all"""
    shipped = catalog.load_sweep("optimizers").sweep.model_copy(update={"budget": TRIALS, "trial_epochs": 1})
    found = {}
    for name, latest in (("window", sampling.LATEST), ("all", TRIALS)):
        with mock.patch.object(sampling, "LATEST", latest), mock.patch("os.fsync"):
            found[name] = np.array([search(shipped.model_copy(update={"seed": seed})) for seed in SEEDS])
    for name, merits in found.items():
        chosen, later = merits[..., 0], merits[..., 1]
        print(f"{name:<6} chosen trial {chosen.mean():.4f} ± {chosen.std(ddof=1):.4f}, later {later.mean():.4f}")
    worse = found["all"] - found["window"]
    print(f"all less window, by seed: chosen {worse[:, 0].round(4).tolist()}, later {worse[:, 1].round(4).tolist()}")
    assert (worse.mean(axis=0) < 0.01).all(), worse


def search(definition: SweepDefinition) -> tuple[float, float]:
    """The true merit of the trial that the study chooses, and the mean of the later trials'."""
    noise = np.random.default_rng(definition.seed)
    with tempfile.TemporaryDirectory() as folder:
        study = Search(Journal(Path(folder) / "journal"), "adam", definition)
        while asked := study.ask():
            for trial in asked:
                accuracy = merit(trial.values) + noise.normal(0, NOISE)
                study.tell(trial.number, Outcome.COMPLETED, [accuracy], definition.images("adam", 1))
        assert study.best is not None
        return merit(study.best[0]), float(np.mean([merit(trial.values) for trial in study.trials[LATER]]))


def merit(values: dict[str, object]) -> float:
    """1 at the optimum, where the learning rate, its decay and the batch size go together."""
    rate = np.log10(values["optimizer.lr"]) + 3.2
    decay = np.log10(1 - values["optimizer.betas.0"]) + 1
    together = rate - np.log2(values["batch_size"] / 64) / 4
    dropout = (values["model.dropout.0"] - 0.1) ** 2 + (values["model.dropout.1"] - 0.35) ** 2
    activation = {"relu": 0.0, "leaky_relu": 0.005}.get(values["model.activation"], 0.05)
    epsilon = 0.002 * (np.log10(values["optimizer.eps"]) + 6) ** 2
    return float(1 - 0.08 * together**2 - 0.02 * rate**2 - 0.05 * decay**2 - 0.2 * dropout - activation - epsilon)
