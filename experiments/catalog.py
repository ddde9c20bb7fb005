"""Load declared experiments as typed definitions: from this package by name, or from a user's TOML or Python file."""

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

_imported: dict[Path, bytes] = {}  # the contents of the Python files that this process imported


class RunExperiment(FrozenModel):
    """Declare a single run. `shows`, `cost` and `result` are texts: its purpose, its cost, and a measured result."""

    kind: Literal["run"]
    shows: str
    cost: str
    result: str
    config: RunConfig


class SweepExperiment(FrozenModel):
    """Declare a sweep. `shows`, `cost` and `result` are texts: its purpose, its cost, and a measured result.

    If its file declares no spaces, the sweep gets the default spaces of `experiments/spaces.py`, without the keys
    that its variants fix. `resources` is what a slice occupies on a node of a cluster; by default, one CPU per thread
    of a run, and one GPU if the run trains on a GPU.
    """

    kind: Literal["sweep"]
    shows: str
    cost: str
    result: str
    sweep: SweepDefinition
    resources: Resources | None = None

    def slice_resources(self, base: RunConfig) -> Resources:
        """Return the declared resources, or the default for the sweep's base config."""
        on_gpu = base.device.startswith("cuda")
        return self.resources or Resources(cpus=base.threads, gpus=1.0 if on_gpu else 0.0)

    @model_validator(mode="before")
    @classmethod
    def _with_default_spaces(cls, values: dict[str, Any]) -> dict[str, Any]:
        sweep = values.get("sweep", {})
        return {**values, "sweep": with_default_spaces(sweep)} if isinstance(sweep, Mapping) else values


Experiment = RunExperiment | SweepExperiment


def load(name: str) -> Experiment:
    """Return the declared experiment with this name, or the experiment in this TOML or Python file.

    Raises:
        BadInputError: the experiment does not exist, or one of its fields is invalid.
    """
    if is_file(name):
        path = Path(name)
        if not path.is_file():
            kind = "TOML" if path.suffix == ".toml" else "Python"
            raise BadInputError(
                "experiment", name, "does not exist", expected=f"a {kind} file", next_step="correct its path"
            )
        require_name(path)
        folder = str(path.resolve().parent)
        if folder not in sys.path:  # so that the user's own modules beside the file can be imported
            sys.path.append(folder)
        return _load_python(path) if path.suffix == ".py" else parse(name, read_file(path))
    if name not in names():
        raise unknown("experiment", name, names(), "choose one of these; a file of your own ends with .toml or .py")
    return parse(name, read(name))


def require_name(path: Path) -> None:
    """Check that a file's name is not the name of a declared experiment, and that Python can import the file.

    Raises:
        BadInputError: a declared experiment has this name, or the name contains a dot.
    """
    if path.stem in names():
        raise BadInputError(
            "experiment",
            str(path),
            "has the name of a declared experiment",
            expected="a different name",
            next_step="rename the file",
        )
    if path.suffix == ".py" and "." in path.stem:
        raise BadInputError(
            "experiment",
            str(path),
            "has a dot in its name, which Python reads as a folder",
            expected="letters, digits and underscores",
            next_step=f"rename the file to {path.stem.replace('.', '_')}.py",
        )


def title(name: str) -> str:
    """Return the name of an experiment in MLflow; for a file, its name without the suffix."""
    return Path(name).stem if is_file(name) else name


def load_run(name: str) -> RunConfig:
    """Return the config of a declared run.

    Raises:
        BadInputError: the experiment does not exist, or it is a sweep.
    """
    experiment = load(name)
    if isinstance(experiment, SweepExperiment):
        raise BadInputError("experiment", name, "is a sweep", expected="a run", next_step="run it as a sweep")
    return experiment.config


def load_sweep(name: str) -> SweepExperiment:
    """Return a declared sweep.

    Raises:
        BadInputError: the experiment does not exist, or it is a run.
    """
    experiment = load(name)
    if isinstance(experiment, RunExperiment):
        raise BadInputError("experiment", name, "is a run", expected="a sweep", next_step="run it as a single run")
    return experiment


def parse(name: str, values: dict[str, Any]) -> Experiment:
    """Return an experiment from the values of its TOML file.

    Raises:
        BadInputError: a field is invalid; the message names the experiment.
    """
    kinds: dict[str, type[Experiment]] = {"run": RunExperiment, "sweep": SweepExperiment}
    if values.get("kind") not in kinds:
        wrong = BadInputError("kind", values.get("kind"), expected="run or sweep", next_step="correct the kind")
        raise wrong.within(f"experiment {name!r}")
    try:
        return validated(kinds[values["kind"]], values)
    except BadInputError as error:
        raise error.within(f"experiment {name!r}") from None


def _load_python(path: Path) -> Experiment:
    """Return the experiment of a Python file that defines `sweep` (a `SweepDefinition`) or `run` (a `RunConfig`).

    Raises:
        BadInputError: the file can't be imported, or defines neither of the two.
    """
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
        "defines no experiment",
        expected="a SweepDefinition called `sweep`, or a RunConfig called `run`",
        next_step="define one of the two in the file",
    )


def _import_file(path: Path) -> ModuleType:
    """Import a file as a module, under the same name with which workers and a resumed run import it.

    Raises:
        RefusedError: the file raises an error, or Python finds another module with the file's name.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is for the command's result
            module = importlib.import_module(path.stem)
            content = path.read_bytes()
            if _imported.setdefault(path.resolve(), content) != content:  # edited since this process imported it
                module = importlib.reload(module)
                _imported[path.resolve()] = content
    except RefusedError as error:
        raise error.within(f"experiment {str(path)!r}") from None
    except ValidationError as error:
        kind = SweepDefinition if error.title == SweepDefinition.__name__ else RunConfig
        raise refused(kind, error).within(f"experiment {str(path)!r}") from None
    except Exception as error:
        problem = f"can't be imported ({in_one_line(error)})"
        next_step = hidden_folder(error) or "correct the file"
        raise BadInputError("experiment", str(path), problem, next_step=next_step) from None
    file = getattr(module, "__file__", None)  # a module that is built into Python has no file
    if file is None or Path(file).resolve() != path.resolve():
        raise BadInputError(
            "experiment",
            str(path),
            f"has the name of another module: Python imports {place(module)} instead, and so would workers",
            expected="a different name",
            next_step="rename the file",
        )
    return module
