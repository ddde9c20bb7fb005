"""The `harness` command in this process: what it prints in a pipe, and on a real terminal of 80 columns."""

import io
import os
import threading
from contextlib import redirect_stderr, redirect_stdout
from typing import TextIO

import pytest

from experiments.cli import app as cli
from harness.provenance.environment import environment, git_commit_and_diff
from harness.provenance.origin import remembered_splits

COLUMNS = 80


def run_command(*arguments: str, printed: TextIO, said: TextIO) -> int:
    """Return the exit code of the command, which knows nothing of an earlier call."""
    for remembered in (remembered_splits, environment, git_commit_and_diff):
        remembered.cache_clear()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(said):
        patch.setattr("sys.argv", ["harness", *arguments])
        patch.setattr("signal.signal", lambda *_: None)  # those of this process stay
        with pytest.raises(SystemExit) as exit_of_command:
            cli.main()
    return int(exit_of_command.value.code or 0)


def in_a_pipe(*arguments: str) -> tuple[int, str]:
    """The exit code, and what it printed and said."""
    written = io.StringIO()
    return run_command(*arguments, printed=written, said=written), written.getvalue()


def on_a_terminal(*arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code, and what it wrote to a terminal, codes included."""
    import pty  # which Windows lacks

    ours, its = pty.openpty()
    read: list[bytes] = []
    reader = threading.Thread(target=_read, args=(ours, read))
    reader.start()
    with pytest.MonkeyPatch.context() as patch, open(its, "w", encoding="utf-8") as terminal:  # noqa: PTH123
        patch.delenv("NO_COLOR", raising=False)
        for name, value in ({"COLUMNS": str(COLUMNS), "TERM": "xterm-256color"} | environment).items():
            patch.setenv(name, value)
        code = run_command(*arguments, printed=terminal, said=terminal)
    reader.join()
    os.close(ours)
    return code, b"".join(read).decode().replace("\r\n", "\n")


def _read(terminal: int, into: list[bytes]) -> None:
    while True:
        try:
            content = os.read(terminal, 65_536)
        except OSError:  # closed at the other end
            return
        if not content:
            return
        into.append(content)
