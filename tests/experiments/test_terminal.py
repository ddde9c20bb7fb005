"""What a person sees: at 80 columns nothing is cut or broken, nor coloured against their will; in a pipe no codes."""

import re
from unicodedata import east_asian_width

import pytest

from tests.command import COLUMNS, in_a_pipe, on_a_terminal
from tests.tracked import SWEEP, tiny_sweeps

pytestmark = pytest.mark.posix

CODE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]")
WHOLE = re.compile(r"[0-9a-f]{32}|(?<!\w)/\S+")  # ids and paths, but not 32/160: copied, they must work

COMMANDS = [
    [],
    ["list"],
    ["run", "--help"],
    ["sweep", "--help"],
    ["explain"],
    ["explain", "population"],
    ["sweep", "optimizers", "--dry-run", *SWEEP],
    ["status"],
    ["leaderboard"],
    ["leaderboard", "--limit", "1"],
    ["compare", "TRIAL", "FINAL"],
    ["report", "FINAL"],
    ["reproduce", "TRIAL", "--data-dir", "data"],
    ["predict", "RUN", "--data-dir", "data"],
    ["doctor"],
    ["run", "chaptr"],
    ["run", "chapter", "--set", "lr=1"],
    ["swep"],
]


@pytest.mark.long
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_the_output_of_a_command_fits_a_terminal_and_a_pipe(arguments, tracked, monkeypatch):
    monkeypatch.chdir(tracked.folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    ids = {"TRIAL": tracked.trial, "FINAL": tracked.final, "RUN": tracked.run}
    arguments = [ids.get(each, each) for each in arguments]
    with tiny_sweeps():
        code, piped = in_a_pipe(*arguments)
        code_there, shown = on_a_terminal(*arguments, NO_COLOR="1")
    assert code == code_there
    assert not CODE.search(piped)
    assert not COLOUR.search(shown)
    assert_fits(shown)
    for text in (piped, shown):
        assert "…" not in text
    assert set(WHOLE.findall(piped)) == set(WHOLE.findall(CODE.sub("", shown)))


def test_the_screen_of_a_sweep_fits_the_terminal_until_its_report(tracked):
    for what in ("best validation", "worker 1", "mean test", "95% interval", "report"):
        assert what in tracked.screen
    assert_fits(tracked.screen)
    assert f"{tracked.folder}/.harness/reports/{tracked.sweep}/report.html" in CODE.sub("", tracked.screen)


def assert_fits(shown):
    """Check that no line is wider than the terminal, except a single word that can't be broken."""
    for line in CODE.sub("", shown).replace("\r", "\n").splitlines():
        assert width(line) <= COLUMNS or " " not in line.strip(), line


def width(line):
    return sum(2 if east_asian_width(each) in "WF" else 1 for each in line.rstrip())
