"""What an earlier version stored, unpacked for each test as the folder that the command is run in."""

import sys

import pytest

from tests.compatibility.stored import COMMITS, unpack

MODULES = ("bars", "bars_run", "bars_ended", "bars_stopped")  # of the person whose folder it is


@pytest.fixture(params=COMMITS)
def stored(request, project, monkeypatch):
    monkeypatch.syspath_prepend(project)
    yield unpack(request.param, project)
    for name in MODULES:
        sys.modules.pop(name, None)
