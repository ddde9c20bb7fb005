"""The source of what a program or notebook defines follows every edit that can change a number."""

import linecache
import sys

import pytest

from harness.errors import BadInputError
from harness.provenance.source import own_source

PROGRAM = """
from beside import width
import beside
SIZES = [8, 16]
NAMES = {"a": 1}
UNUSED = 3

def made(size):
    return size

class Base:
    def base(self):
        return SIZES, NAMES

class Net(Base):
    def __init__(self):
        made(3)

class Bare(Base):
    pass
"""


@pytest.fixture
def defined(monkeypatch, tmp_path):
    """Defines the program anew, as cells of a notebook do."""
    monkeypatch.syspath_prepend(tmp_path)
    main = sys.modules["__main__"]

    def define(program=PROGRAM, beside="def width():\n    return 1\n", name="Net"):
        (tmp_path / "beside.py").write_text(beside)
        sys.modules.pop("beside", None)
        values = {"__name__": "__main__"}
        linecache.cache["<cell>"] = (len(program), None, program.splitlines(keepends=True), "<cell>")
        exec(compile(program, "<cell>", "exec"), values)
        for key, value in values.items():
            if not key.startswith("__"):
                monkeypatch.setattr(main, key, value, raising=False)
        return own_source([f"__main__:{name}"]).files

    yield define
    linecache.cache.pop("<cell>")
    sys.modules.pop("beside", None)


@pytest.mark.parametrize(
    "change",
    [
        ("made(3)", "made(4)"),
        ("return size", "return -size"),
        ("return SIZES", "return NAMES"),
        ("[8, 16]", "[8, 32]"),
        ('{"a": 1}', '{"a": 2}'),
    ],
    ids=str,
)
def test_the_source_changes_if_a_class_its_base_or_a_value_that_they_use_is_edited(defined, change):
    assert defined() != defined(PROGRAM.replace(*change))


@pytest.mark.parametrize("change", [("UNUSED = 3", "UNUSED = 4"), ("made(3)", "made( 3 )  # the same")], ids=str)
def test_the_source_stays_the_same_if_unused_code_or_comments_are_edited(defined, change):
    assert defined() == defined(PROGRAM.replace(*change))


@pytest.mark.parametrize("used", ["width()", "beside.width()"])
def test_the_source_changes_if_a_module_that_the_class_uses_is_edited(defined, used):
    program = PROGRAM.replace("made(3)", used)
    assert defined(program) != defined(program, "def width():\n    return 2\n")
    assert defined() == defined(beside="def width():\n    return 2\n"), "nothing of it is used"


def test_a_class_whose_source_cannot_be_found_is_refused(defined):
    with pytest.raises(BadInputError, match=r"source '__main__:Bare' can't be read: expected a class with a method"):
        defined(name="Bare")
