"""The declared experiments: those of this package by name, or a user's TOML or Python file, as typed definitions."""

import contextlib
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pydantic import ValidationError, model_validator

from experiments.declared import is_file, names, read, read_file
from experiments.spaces import with_default_spaces
from harness.config import FrozenModel, RunConfig, refused, validated
from harness.config.imports import hidden_folder, in_one_line, place
from harness.errors import BadInputError, RefusedError, unknown
from studies.definition import SweepDefinition
from studies.executors.resources import Resources


class RunExperiment(FrozenModel):
    """A declared single run. `result` is what was measured."""

    kind: Literal["run"]
    shows: str
    cost: str
    result: str
    config: RunConfig


class SweepExperiment(FrozenModel):
    """A declared sweep. `result` is what was measured.

    Spaces that its file leaves out are those of `experiments/spaces.py`, less what its variants fix. `resources`
    are what a slice takes of a cluster's node; left out, a CPU for each thread of a run, and a GPU where it trains on
    one.
    """

    kind: Literal["sweep"]
    shows: str
    cost: str
    result: str
    sweep: SweepDefinition
    resources: Resources | None = None

    def slice_resources(self, base: RunConfig) -> Resources:
        """The resources as declared, or those of a sweep's base."""
        on_gpu = base.device.startswith("cuda")
        return self.resources or Resources(cpus=base.threads, gpus=1.0 if on_gpu else 0.0)

    @model_validator(mode="before")
    @classmethod
    def _with_default_spaces(cls, values: dict[str, Any]) -> dict[str, Any]:
        sweep = values.get("sweep", {})
        return {**values, "sweep": with_default_spaces(sweep)} if isinstance(sweep, Mapping) else values


Experiment = RunExperiment | SweepExperiment


def load(name: str) -> Experiment:
    """The definition of that name, or of a user's TOML or Python file.

    Raises:
        BadInputError: no such experiment, or a field of it is wrong.
    """
    if is_file(name):
        path = Path(name)
        if not path.is_file():
            kind = "TOML" if path.suffix == ".toml" else "Python"
            raise BadInputError(
                "experiment", name, "is not there", expected=f"a {kind} file", next_step="correct its path"
            )
        require_name(path)
        folder = str(path.resolve().parent)
        if folder not in sys.path:  # a user's own parts are looked for beside their file
            sys.path.append(folder)
        return _load_python(path) if path.suffix == ".py" else parse(name, read_file(path))
    if name not in names():
        raise unknown("experiment", name, names(), "choose one of these; a file of your own ends with .toml or .py")
    return parse(name, read(name))


def require_name(path: Path) -> None:
    """Refuse a file whose experiment would be called as a declared one is, or that Python could not import.

    Raises:
        BadInputError: it is refused.
    """
    if path.stem in names():
        raise BadInputError(
            "experiment",
            str(path),
            "is called as a declared one is",
            expected="a name of its own",
            next_step="rename the file",
        )
    if path.suffix == ".py" and "." in path.stem:
        raise BadInputError(
            "experiment",
            str(path),
            "has a dot in its name, which Python takes for a folder's",
            expected="letters, digits and underscores",
            next_step=f"rename the file to {path.stem.replace('.', '_')}.py",
        )


def title(name: str) -> str:
    """What an experiment is called in MLflow: a file by its name."""
    return Path(name).stem if is_file(name) else name


def load_run(name: str) -> RunConfig:
    """The config of a declared run.

    Raises:
        BadInputError: no such experiment, or it is a sweep.
    """
    experiment = load(name)
    if isinstance(experiment, SweepExperiment):
        raise BadInputError("experiment", name, "is a sweep", expected="a run", next_step="start it as a sweep")
    return experiment.config


def load_sweep(name: str) -> SweepExperiment:
    """A declared sweep.

    Raises:
        BadInputError: no such experiment, or it is a run.
    """
    experiment = load(name)
    if isinstance(experiment, RunExperiment):
        raise BadInputError("experiment", name, "is a run", expected="a sweep", next_step="start it as a run")
    return experiment


def parse(name: str, values: dict[str, Any]) -> Experiment:
    """A definition from the values of its TOML file."""
    kinds: dict[str, type[Experiment]] = {"run": RunExperiment, "sweep": SweepExperiment}
    if values.get("kind") not in kinds:
        wrong = BadInputError("kind", values.get("kind"), expected="run or sweep", next_step="correct it")
        raise wrong.within(f"experiment {name!r}")
    try:
        return validated(kinds[values["kind"]], values)
    except BadInputError as error:
        raise error.within(f"experiment {name!r}") from None


def _load_python(path: Path) -> Experiment:
    """What a Python file calls `sweep`, a `SweepDefinition`, or `run`, a `RunConfig`."""
    module = _import_file(path)
    sweep, run = getattr(module, "sweep", None), getattr(module, "run", None)
    about = {"shows": (module.__doc__ or "").strip().partition("\n")[0], "cost": "", "result": ""}
    if isinstance(sweep, SweepDefinition):
        return parse(str(path), {"kind": "sweep", "sweep": sweep.model_dump(), **about})
    if isinstance(run, RunConfig):
        return parse(str(path), {"kind": "run", "config": run, **about})
    raise BadInputError(
        "experiment",
        str(path),
        "has neither of the two that it can be",
        expected="a SweepDefinition called `sweep`, or a RunConfig called `run`",
        next_step="give it one",
    )


def _import_file(path: Path) -> ModuleType:
    """Import a file as the module that its workers, and a run that goes on, find again by its name."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is for the command's result
            module = importlib.import_module(path.stem)
    except RefusedError as error:
        raise error.within(f"experiment {str(path)!r}") from None
    except ValidationError as error:
        kind = SweepDefinition if error.title == SweepDefinition.__name__ else RunConfig
        raise refused(kind, error).within(f"experiment {str(path)!r}") from None
    except Exception as error:
        problem = f"can't be imported ({in_one_line(error)})"
        next_step = hidden_folder(error) or "correct it"
        raise BadInputError("experiment", str(path), problem, next_step=next_step) from None
    file = getattr(module, "__file__", None)  # what is built into Python has none
    if file is None or Path(file).resolve() != path.resolve():
        raise BadInputError(
            "experiment",
            str(path),
            f"is called as another module is: {place(module)} was imported instead, as workers would import it",
            expected="a name of its own",
            next_step="rename the file",
        )
    return module
