"""Find and hash the source files of a user's own parts, including the files that they import."""

import ast
import functools
import hashlib
import importlib
import importlib.machinery
import importlib.metadata
import json
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path, PurePosixPath

from harness.config import OwnConfig, RunConfig, differences
from harness.config.imports import OURS
from harness.errors import BadInputError
from harness.provenance.program import MAIN, program_source

ENVIRONMENT = ("torch", "torchvision", "numpy")  # not source of own parts, because every run uses these
INSTALLED = {"site-packages", "dist-packages"}
SHOWN = 12  # characters of a hash in a message
DIGEST_LENGTH = 16


@dataclass(frozen=True)
class OwnSource:
    """Hold the source of own parts: per row a part's module, and a file and SHA-256 or a distribution and version.

    A file is named after its module, so that the location of its folder does not matter.
    """

    rows: tuple[tuple[str, str, str], ...] = ()

    @property
    def modules(self) -> tuple[str, ...]:
        """Return the modules of the parts, sorted."""
        return tuple(sorted({module for module, _, _ in self.rows}))

    @property
    def files(self) -> dict[str, str]:
        """Return the hash or version of each file or distribution, sorted by name."""
        return dict(sorted((file, value) for _, file, value in self.rows))

    @property
    def digest(self) -> str:
        """Return a short hash of all files; empty if there are none."""
        content = json.dumps(self.files).encode()
        return hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH] if self.rows else ""

    def of(self, config: RunConfig) -> "OwnSource":
        """Return the part of this source that belongs to the config's own parts."""
        modules = modules_of(own_names(config))
        return OwnSource(tuple(row for row in self.rows if row[0] in modules))


def own_names(config: RunConfig) -> list[str]:
    """Return the names, `module:name`, of the parts of a config that are a user's own."""
    return [part.name for part in (config.dataset, config.model, config.optimizer) if isinstance(part, OwnConfig)]


def modules_of(names: Iterable[str]) -> set[str]:
    """Return the modules of own parts, from their names."""
    return {name.partition(":")[0] for name in names}


def own_source(names: Iterable[str]) -> OwnSource:
    """Return the present source of the own parts of these names, `module:name`.

    Written imports, including those inside functions, are followed to every file outside the standard library,
    installed packages and this project. An import of a name that is computed at run time is not found.
    """
    importlib.invalidate_caches()  # a file may be newer than Python's cached listing of its folder
    names = list(names)
    defined, used = program_source(name for name in names if name.startswith(f"{MAIN}:"))
    rows = [(MAIN, *row) for row in sorted(defined.items())]
    rows += [(MAIN, *row) for module in sorted(used) for row in sorted(_files(module).items())]
    for module in sorted(modules_of(names) - {MAIN}):
        rows += [(module, *row) for row in sorted(_files(module).items())]
    return OwnSource(tuple(rows))


@functools.lru_cache(maxsize=1)
def require_same_source(expected: OwnSource) -> None:
    """Check that this process has the expected files; once per process, as modules are imported only once.

    Raises:
        BadInputError: a file differs; the first such file is named.
    """
    elsewhere = OwnSource(tuple(row for row in expected.rows if row[0] != MAIN))  # this process is that program
    here = own_source(f"{module}:" for module in elsewhere.modules)
    for file, was, is_here in differences(elsewhere.files, here.files):
        raise BadInputError(
            "source",
            file,
            f"is {short(is_here)} for a worker and was {short(was)} when its run or sweep began",
            expected="the same file",
            next_step="restore it, or start a new run or sweep; on a cluster, give each machine the same files",
        )


def short(value: str | None) -> str:
    """Return a file's hash, or a distribution's version, in short form for a message."""
    return "not there" if value is None else value[:SHOWN]


def _files(module: str) -> dict[str, str]:
    """Return the hash by name of each file of a module and its imports; empty for a module of this project."""
    found: dict[str, str] = {}
    if module.partition(".")[0] in OURS:
        return found
    seen: set[str] = set()
    waiting = _with_parents(module)
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if name in seen or top in sys.stdlib_module_names or top in ENVIRONMENT:
            continue
        seen.add(name)
        spec = _spec(name)
        origin = Path(spec.origin) if spec and spec.has_location and spec.origin else None
        if origin is None or not origin.is_file():  # a namespace package, a name within a module, or missing
            continue
        if INSTALLED & {*origin.parts} and top in _distributions():
            found |= {each: importlib.metadata.version(each) for each in _distributions()[top]}
            continue
        content = origin.read_bytes()
        tree = _parsed(content) if origin.suffix in importlib.machinery.SOURCE_SUFFIXES else None
        found[_file_name(name, origin)] = hashlib.sha256(_without_definition(content, tree)).hexdigest()
        package = name if spec and spec.submodule_search_locations is not None else name.rpartition(".")[0]
        waiting += [each for each in _imported(tree, package) if each.partition(".")[0] not in OURS]
    return found


def _with_parents(name: str) -> list[str]:
    """Return the names of a module's parents, which are imported first, and its own name: `a`, `a.b`, `a.b.c`."""
    parts = name.split(".")
    return [".".join(parts[: length + 1]) for length in range(len(parts))]


def _spec(name: str) -> ModuleSpec | None:
    """Return the spec of a module without importing its parent packages; None if it is not found."""
    top, *rest = name.split(".")
    finders = (find_spec for finder in sys.meta_path if (find_spec := getattr(finder, "find_spec", None)))
    spec: ModuleSpec | None = next((found for find in finders if (found := find(top, None))), None)
    for position, _ in enumerate(rest):
        within = list(spec.submodule_search_locations or ()) if spec else []
        dotted = ".".join([top, *rest[: position + 1]])
        importers = (importer for folder in within if (importer := pkgutil.get_importer(folder)))
        spec = next((found for importer in importers if (found := importer.find_spec(dotted))), None)
    return spec


def _file_name(module: str, origin: Path) -> str:
    """Return a file's path relative to the folder on Python's path: `package/module.py`."""
    path = PurePosixPath(*module.split("."))
    is_package = origin.stem == "__init__"
    return str(path / origin.name if is_package else path.parent / origin.name)


def _parsed(content: bytes) -> ast.Module | None:
    try:
        return ast.parse(content)
    except (SyntaxError, ValueError):  # importing the file will report the error
        return None


def _without_definition(content: bytes, tree: ast.Module | None) -> bytes:
    """Return the content without assigned `SweepDefinition`s, so that a larger budget does not count as changed code.

    The definition is compared by its fields elsewhere.
    """
    lines = content.splitlines(keepends=True)
    for node in reversed(tree.body if tree else []):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            called = node.value.func
            if getattr(called, "id", getattr(called, "attr", None)) == "SweepDefinition":
                first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
                lines[first : last + 1] = [lines[first][: node.col_offset] + lines[last][node.end_col_offset :]]
    return b"".join(lines)


def _imported(tree: ast.Module | None, package: str) -> Iterator[str]:
    """Yield the absolute name of each module that the tree may import: of `from a import b` both `a` and `a.b`."""
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            folders = package.split(".") if package and node.level else []
            above = folders[: len(folders) + 1 - node.level]
            for alias in node.names:
                yield from _with_parents(".".join([*above, *([node.module] if node.module else []), alias.name]))


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """Return the names of the installed distributions, by the top-level module that they contain."""
    return {top: sorted(set(names)) for top, names in importlib.metadata.packages_distributions().items()}
