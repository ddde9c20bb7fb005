"""The `harness` command with one more experiment: `tiny`, a sweep of seconds. Run as a process of its own.

The environment says what else is other than usual:

    TINY_PATIENCE  seconds that the tracking store may be away
    TINY_CLOCK     seconds by which the wall clock is off
    TINY_CPUS      what a slice needs of a cluster
    TINY_IMAGES    how many it trains on
    TINY_HIDDEN    hidden units of its network, so that training it takes longer
    TINY_FILE      bytes of the largest file that can be written
    TINY_ANEW      if set, the server of the workers imports anew, as a user's does
"""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any
from unittest import mock

from harness.config import DatasetConfig, RunConfig, with_settings
from tests.started import begin_server_of_workers

IMAGES = int(os.environ.get("TINY_IMAGES", "320"))
UNITS = 32
SMALL_NETWORK = {"model.name": "mlp", "model.hidden": (UNITS,)}
DATASET = DatasetConfig(train_size=IMAGES, validation_size=60)
NETWORK = SMALL_NETWORK | {"model.hidden": (int(os.environ.get("TINY_HIDDEN", UNITS)),)}
BASE = with_settings(RunConfig(dataset=DATASET, threads=1), NETWORK)
ARGUMENTS = ("sweep", "tiny", "--data-dir", "data")


def definition():
    from studies.definition import SweepDefinition
    from studies.space import Range

    rate = Range(low=1e-4, high=1e-1, log=True, start=1e-2)
    return SweepDefinition(
        base=BASE,
        optimizers=("sgd", "adam"),
        space={"model.dropout": Range(low=0, high=0.5)},
        spaces={name: {"optimizer.lr": rate} for name in ("sgd", "adam")},
        budget=8,
        trial_epochs=2,
        final_seeds=(1, 2),
        final_epochs=2,
        subset=True,
    )


@contextlib.contextmanager
def one_figure() -> Iterator[None]:
    """Reports have the first of their figures alone: drawing all takes as long as a small sweep."""
    from reports import page

    draw = page.rendered_figures

    def draw_the_first(pictures: Mapping[str, Any], *how: Any) -> dict[str, bytes]:
        return draw(dict(list(pictures.items())[:1]), *how)

    with mock.patch.object(page, "rendered_figures", draw_the_first):
        yield


def main() -> None:
    from experiments import catalog
    from experiments.cli import app as cli
    from harness.tracking import buffered as outbox

    if largest := int(os.environ.get("TINY_FILE", "0")):
        import resource  # which Windows lacks

        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    if "TINY_ANEW" not in os.environ:
        begin_server_of_workers()
    experiment = catalog.SweepExperiment(
        kind="sweep",
        shows="",
        cost="",
        result="",
        sweep=definition().model_dump(),
        resources={"cpus": os.environ.get("TINY_CPUS", "1")},
    )
    load_sweep, wall_clock = catalog.load_sweep, time.time

    def clock_that_is_off() -> float:
        return wall_clock() + float(os.environ.get("TINY_CLOCK", "0"))

    with (
        mock.patch.object(catalog, "load_sweep", lambda name: experiment if name == "tiny" else load_sweep(name)),
        mock.patch.object(outbox, "PATIENCE", float(os.environ.get("TINY_PATIENCE", outbox.PATIENCE))),
        mock.patch.object(time, "time", clock_that_is_off),
        one_figure(),
    ):
        cli.main()
