"""The `harness` command with one more experiment: `tiny`, a sweep of seconds. Run as a process of its own.

Its reports have the first of their figures alone: drawing all takes as long as the sweep.

The environment says what else is other than usual:

    TINY_PATIENCE  seconds that the tracking store may be away
    TINY_CLOCK     seconds by which the wall clock is off
    TINY_CPUS      what a slice needs of a cluster
    TINY_IMAGES    how many it trains on
    TINY_FILE      bytes of the largest file that can be written
    TINY_ANEW      if set, the server of the workers imports anew, as a user's does
"""

import os
import resource
import time
from collections.abc import Mapping
from unittest import mock

from harness.config import DatasetConfig, RunConfig
from tests.started import begin_server_of_workers

IMAGES = int(os.environ.get("TINY_IMAGES", "320"))
BASE = RunConfig(dataset=DatasetConfig(train_size=IMAGES, validation_size=160), threads=1)
ARGUMENTS = ("sweep", "tiny", "--data-dir", "data")


def definition():
    from studies.definition import SweepDefinition
    from studies.space import Range

    rate = Range(low=1e-4, high=1e-1, log=True, start=1e-2)
    return SweepDefinition(
        base=BASE,
        optimizers=("sgd", "adam"),
        space={"model.dropout.0": Range(low=0, high=0.5)},
        spaces={name: {"optimizer.lr": rate} for name in ("sgd", "adam")},
        budget=8,
        trial_epochs=2,
        final_seeds=(1, 2),
        final_epochs=2,
        subset=True,
    )


def main() -> None:
    from experiments import catalog, cli
    from harness import outbox
    from reports import page
    from reports.figures.style import Picture

    if largest := int(os.environ.get("TINY_FILE", "0")):
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
    all_figures = page.rendered_figures
    wall_clock = time.time

    def of_the_first(pictures: Mapping[str, Picture], warning: str) -> dict[str, bytes]:
        return all_figures(dict(list(pictures.items())[:1]), warning)

    def clock_that_is_off() -> float:
        return wall_clock() + float(os.environ.get("TINY_CLOCK", "0"))

    with (
        mock.patch.object(catalog, "load_sweep", return_value=experiment),
        mock.patch.object(outbox, "PATIENCE", float(os.environ.get("TINY_PATIENCE", outbox.PATIENCE))),
        mock.patch.object(time, "time", clock_that_is_off),
        mock.patch.object(page, "FORMATS", ("svg",)),
        mock.patch.object(page, "rendered_figures", of_the_first),
    ):
        cli.main()
