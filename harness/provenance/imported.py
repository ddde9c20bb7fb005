"""Check that this process has imported the present files of the user's own parts, and not an earlier version."""

import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from pathlib import PurePosixPath

from harness.errors import BadInputError
from harness.provenance.source import OwnSource, own_source

_imported: dict[str, tuple[ModuleSpec | None, str]] = {}  # by file: the module's spec, which is new after a reload


def imported_source(names: Iterable[str]) -> OwnSource:
    """Return the present source of the own parts of these names, `module:name`, which this process has imported.

    A process imports a file once, so that a notebook would train the old class, and record the hash of the new file.
    The first call for a file remembers its hash; an edit between the import and that call is not found.

    Raises:
        BadInputError: a file was edited after this process imported it.
    """
    source = own_source(names)
    for file, digest in source.files.items():
        module = sys.modules.get(_module(file))
        if module is None:
            continue
        spec, then = _imported.get(file, (None, digest))
        if spec is module.__spec__ and then != digest:
            raise BadInputError(
                "source",
                file,
                "was edited after this process imported it",
                expected="the file as it was imported",
                next_step="restart Python (in a notebook, the kernel), or restore the file",
            )
        _imported[file] = (module.__spec__, digest)
    return source


def _module(file: str) -> str:
    """Return the name of the module with this file, `package/module.py`."""
    path = PurePosixPath(file)
    return ".".join(path.parent.parts if path.name == "__init__.py" else path.with_suffix("").parts)
