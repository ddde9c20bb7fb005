"""Run an experiment or a sweep from a Python program or a notebook, and get its results."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.adjusting import Adjustments, seconds_of
from experiments.planning import plan_run, plan_sweep
from harness.errors import BadInputError
from harness.provenance.program import MAIN

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import nn, optim

    from reports.findings import Findings
    from studies.space import Dimension

    Data = str | Callable[..., Any] | tuple[ArrayLike, ArrayLike]
KEPT = "harness.kept_data:kept"
TEST_SHARE = 7  # 1 of 7 images is for testing and 1 of 7 for validation, like MNIST's 10,000 of 70,000


def run(
    experiment: str = "chapter",
    *,
    model: "str | type[nn.Module] | Callable[..., nn.Module] | None" = None,
    optimizer: "str | type[optim.Optimizer] | None" = None,
    data: "Data | None" = None,
    settings: Mapping[str, Any] | None = None,
    seed: int | None = None,
    epochs: int | None = None,
    device: str = "auto",
    fast: bool = False,
    data_dir: str | Path | None = None,
    quiet: bool = False,
) -> "Findings":
    """Train one run of a declared experiment, tracked in MLflow, and return its results.

    Args:
        experiment: A declared run, or the path of a TOML or Python file.
        model: A class or function that makes a network, or its name, `module:name`.
        optimizer: The name of an optimizer, or a class of `torch.optim` or of any other module.
        data: Images (n, height, width), (n, channels, height, width) or (n, features) and labels (n,) from 0, as two
            tensors or arrays; a function that returns both; or the name of a dataset. Of n images, n // 7 are for
            testing and n // 7 for validation, unless `settings` has `dataset.test_size`, `dataset.validation_size`
            and `dataset.train_size`.
        settings: Config values by config key, such as `{"optimizer.lr": 0.1}`.
        seed: The seed of the run, from 0 to 2**64 - 1.
        epochs: The number of epochs.
        device: The device to train on: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`. `auto` is the first of `cuda`, `mps`
            and `cpu` that this machine has.
        fast: Use faster arithmetic, which changes the last bits.
        data_dir: A folder with the dataset in torchvision's layout.
        quiet: Show no progress.

    Raises:
        BadInputError: an argument is invalid; nothing was trained.
        WorkFailedError: the tracking store was unavailable for too long, or a file could not be written.
    """
    from experiments import catalog
    from experiments.cli.progress import watch_training, working

    said = {"seed": seed, "epochs": epochs, "optimizer.name": optimizer and optimizer_name(optimizer)}
    values = _settings(model, data, settings) | {key: value for key, value in said.items() if value is not None}
    config = plan_run(catalog.load_run(experiment), values, device, fast)
    with working("opening the tracking store and reading the data", quiet):
        from harness.run import begin_run, complete_run
        from harness.tracking.mlflow import MlflowTracker

        tracker, folder = MlflowTracker(), _path(data_dir)
        opened = begin_run(config, tracker, catalog.title(experiment), folder)
    with watch_training(opened.config, opened.config.epochs, quiet) as shown:
        complete_run(opened, tracker, folder, shown.ended, shown.stepped)
    return findings(opened.run_id)


def sweep(
    experiment: str = "optimizers",
    *,
    optimizers: "Sequence[str | type[optim.Optimizer]]" = (),
    model: "str | type[nn.Module] | Callable[..., nn.Module] | None" = None,
    data: "Data | None" = None,
    settings: Mapping[str, Any] | None = None,
    search: "Mapping[str, str | Dimension] | None" = None,
    epochs: int | None = None,
    budget: int | None = None,
    seeds: int | None = None,
    replicates: int | None = None,
    margin: float | None = None,
    until: float | None = None,
    sampler: str | None = None,
    pruning: bool = True,
    asynchronous: bool = False,
    device: str | None = None,
    fast: bool = False,
    name: str | None = None,
    time_limit: str | None = None,
    workers: int | None = None,
    executor: str = "local",
    ray_address: str | None = None,
    storage: str | None = None,
    fresh: bool = False,
    data_dir: str | Path | None = None,
    quiet: bool = False,
) -> "Findings":
    """Compare optimizers: search each under the same budget, train the winners on fresh seeds, return the results.

    The same call resumes a sweep that was stopped; for a sweep that has ended, it returns the results at once.
    Ctrl-C, or the kernel's interrupt, stops the sweep after the slices in flight; the results so far are returned.
    Worker processes import the model, optimizers and data function, so a program must call `sweep` below
    `if __name__ == "__main__":`.

    Args:
        experiment: A declared sweep, or the path of a TOML or Python file.
        optimizers: The optimizers to compare: names, or classes of `torch.optim` or of any other module.
        model: A class or function that makes a network, or its name, `module:name`.
        data: As in `run`.
        settings: Config values of every run, which are not searched, by config key.
        search: Values to search, by config key: `"log(1e-5, 1e-1)"`, or a dimension of `studies.space`.
        epochs: Epochs of a trial that is not pruned, and of a final.
        budget: Epochs of all trials of an optimizer together.
        seeds: Finals per winner; a larger number adds finals to the same sweep.
        replicates: Whole searches per optimizer; a larger number adds searches to the same sweep.
        margin: The difference in accuracy that matters to nobody, in percentage points.
        until: Train until each pair is decided within this margin, in percentage points. The sweep adds finals or, if
            it has several replicates, replicates.
        sampler: How trials are drawn: `tpe`, `prior`, `random`, `sobol` or `grid`.
        pruning: Stop the worse trials early, at the rungs.
        asynchronous: Judge each trial at once; results depend on timing.
        device: The device to train on: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`; by default the declared device.
        fast: Use faster arithmetic, which changes the last bits.
        name: The sweep's name in MLflow; by default the declared name, with a hash of six characters if an argument
            changes the definition.
        time_limit: Stop after `90s`, `10m` or `2h` and report the results so far.
        workers: The number of workers; by default one per core.
        executor: Where slices run: `inline`, `local` or `ray`. That is this process, processes of this machine, or a
            Ray cluster. A class that is defined in a notebook's cell needs `inline`.
        ray_address: The address of a Ray cluster's head.
        storage: A database for Optuna's studies, by its URL.
        fresh: Start a new sweep instead of resuming a stopped one.
        data_dir: A folder with the dataset in torchvision's layout.
        quiet: Show no progress.

    Raises:
        BadInputError: an argument is invalid.
        BusyError: another process is running the sweep.
        WorkFailedError: several trials in a row failed for the same cause, workers died several times in a row, or
            the tracking store was unavailable for too long.
    """
    from experiments import catalog
    from experiments.cli.progress import working
    from experiments.cli.watched import run_watched
    from studies.executors.pool import open_pool

    declared = catalog.load_sweep(experiment)
    said = Adjustments(
        optimizers=tuple(optimizer_name(each) for each in optimizers),
        settings=_settings(model, data, settings),
        search=_dimensions(search or {}),
        epochs=epochs,
        budget=budget,
        seeds=seeds,
        replicates=replicates,
        margin=margin,
        until=until,
        sampler=sampler,
        no_pruning=not pruning,
        asynchronous=asynchronous,
        device=device,
        fast=fast,
        name=name,
    )
    plan = plan_sweep(experiment, declared, said, executor)
    if executor != "inline":
        _require_importable([*plan.definition.optimizers, *map(str, said.settings.values())])
    workplace = functools.partial(open_pool, executor, workers, _path(data_dir), plan.resources, ray_address)
    seconds = None if time_limit is None else seconds_of(time_limit)
    sweep_id, _ = run_watched(plan, workplace, fresh=fresh, storage=storage, quiet=quiet, seconds=seconds)
    with working("writing the report", quiet):
        found = findings(sweep_id)
        found.report  # noqa: B018  # this writes the report, so that it exists even if the caller does not open it
    return found


def findings(run_id: str | None = None) -> "Findings":
    """Return the results of a sweep (by default, the latest one) or of a single run, read from MLflow.

    Raises:
        BadInputError: the run does not exist.
    """
    from reports.findings import read_findings

    return read_findings(run_id)


def optimizer_name(given: "str | type[optim.Optimizer]") -> str:
    """Return an optimizer's name in a config: for a class, its registered name or, without one, `module:name`."""
    if isinstance(given, str):
        return given
    from harness.training.optimizers import registered_name

    return registered_name(given) or _named(given, "optimizer")


def _named(given: object, what: str) -> str:
    """Return the name, `module:name`, under which another process finds a class or function.

    Raises:
        BadInputError: the class or function has no such name, for example because it is defined within a function.
    """
    name = getattr(given, "__qualname__", None)
    if name is None or "<" in name:
        raise BadInputError(
            what,
            name or type(given).__name__,
            "can't be imported from a module",
            expected="a class or function that a module defines",
            next_step="define it at the top level of a module or of a notebook's cell",
        )
    return f"{getattr(given, '__module__', MAIN)}:{name}"


def _settings(model: object, data: "Data | None", settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the config values, by key, for a model, data and settings; `settings` overrides the other two."""
    values: dict[str, Any] = {}
    if model is not None:
        values["model.name"] = model if isinstance(model, str) else _named(model, "model")
    if isinstance(data, str):
        values["dataset.name"] = data
    elif callable(data):
        values["dataset.name"] = _named(data, "data")
    elif data is not None:
        values |= _kept(data, settings or {})
    return values | dict(settings or {})


def _kept(data: Any, settings: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """Save images and labels in files, and return the settings of the dataset that reads these files.

    Raises:
        BadInputError: `data` is not a pair of images and labels that can be trained on, or is too small for a
            test part, whose size is not in `settings`.
    """
    from harness.kept_data import keep, require_usable

    if not (isinstance(data, tuple | list) and len(data) == 2):
        raise BadInputError(
            "data",
            type(data).__name__,
            expected="images and labels, a function that returns both, or the name of a dataset",
            next_step="pass two tensors or arrays, `data=(images, labels)`",
        )
    digest, count = keep(*data)
    part = count // TEST_SHARE
    sizes = {"train_size": count - 2 * part, "validation_size": part, "test_size": part}
    if not part and "dataset.test_size" not in settings:
        raise BadInputError(
            "dataset.test_size",
            0,
            expected=f"1 or more, but one in {TEST_SHARE} of the {count} images in `data` is 0",
            next_step=f"pass {TEST_SHARE} or more images, or set {', '.join(f'dataset.{key}' for key in sizes)}",
        )
    require_usable(digest)
    named = {"name": KEPT, "digest": digest, **sizes}
    return {f"dataset.{key}": value for key, value in named.items()}


def _dimensions(search: "Mapping[str, str | Dimension]") -> "dict[str, Dimension]":
    from studies.notation import parse_dimension

    return {key: parse_dimension(each) if isinstance(each, str) else each for key, each in search.items()}


def _require_importable(names: Sequence[str]) -> None:
    """Check that workers can import each name.

    Raises:
        BadInputError: a name is defined in the current program or notebook, which workers can't import.
    """
    wrong = next((name for name in names if name.startswith(f"{MAIN}:")), None)
    if wrong is not None:
        raise BadInputError(
            "name",
            wrong.partition(":")[2],
            "is defined in the notebook or program itself, so worker processes can't import it",
            expected="a class or function of a module",
            next_step='move it to its own file and import it from there, or run with `executor="inline"`',
        )


def _path(folder: str | Path | None) -> Path | None:
    return None if folder is None else Path(folder)
