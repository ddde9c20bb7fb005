"""Assemble the `harness` command, and turn errors into messages and exit codes.

Each command imports the modules that it needs when it runs, so that `--help` is fast.
"""

import os
import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from experiments.cli import explain, inspect, new, run, serve, sweep
from experiments.cli.manual import SETTINGS, CommandPage, ContentsPage
from experiments.cli.prose import say
from experiments.cli.steps import flags_of, with_flags
from harness.errors import HarnessError, StoreAwayError, WorkFailedError, without_password

app = typer.Typer(
    name="harness",
    cls=ContentsPage,
    context_settings=SETTINGS,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
INTERRUPTED = 130  # the exit code that typer returns for a KeyboardInterrupt


@app.callback(invoke_without_command=True)
def harness(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Which optimizer, learning rate, batch size and dropout should I train this network with?

    `harness COMMAND --help` shows the options of each command below.
    """
    if version:
        from importlib import metadata

        typer.echo(metadata.version("optimizer-harness"))
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


DO, LOOK, CHECK = "Do", "Look", "Check"
for command, group, example in (
    (run.run, DO, "run chapter --epochs 1"),
    (sweep.sweep, DO, "sweep optimizers --for 10m"),
    (new.new, DO, "new my_study.py"),
    (run.predict, DO, "predict RUN_ID --index 7"),
    (serve.register, DO, "register --name mnist"),
    (inspect.list_experiments, LOOK, "list"),
    (inspect.status, LOOK, "status"),
    (inspect.report, LOOK, "report"),
    (inspect.leaderboard, LOOK, "leaderboard --limit 3"),
    (inspect.compare, LOOK, "compare RUN RUN"),
    (inspect.export, LOOK, "export --out sweep.csv"),
    (serve.ui, LOOK, "ui"),
    (explain.explain, LOOK, "explain margin"),
    (inspect.doctor, CHECK, "doctor"),
    (run.reproduce, CHECK, "reproduce RUN_ID"),
):
    app.command(example.split()[0], cls=CommandPage, rich_help_panel=group, epilog=f"harness {example}")(command)


def main() -> None:
    """Run the command. An error prints one line; the exit code is 1 for failed work, 2 for bad input, 130 for a stop.

    A stop is an interrupt (Ctrl-C) or SIGTERM.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # a user's own modules are in the current folder; it comes last, so that its files do not hide other modules
    sys.path += [str(Path(__file__).parents[2]), str(Path.cwd())]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # the system's encoding for files and pipes may lack our characters
            stream.reconfigure(encoding="utf-8")
    _keep_caches_here()
    try:
        code = app(standalone_mode=False, prog_name="harness")
    except WorkFailedError as error:
        _stop(f"harness: {error}; all earlier work is kept", error.exit_code)
    except HarnessError as error:
        _stop(f"harness: {with_flags(str(error), _flags())}", error.exit_code)
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error of the command line's parser
            _stop(_usage(error), 2)
        if isinstance(error, OSError) and error.errno:
            _stop(f"harness: {error}; all earlier work is kept", 1)
        from harness.tracking.connection import is_away

        if is_away(error):
            _stop(f"harness: {StoreAwayError(error)}", StoreAwayError.exit_code)
        raise
    if code == INTERRUPTED:
        _stop("harness: interrupted; all finished slices are kept", code)
    sys.exit(code or 0)


def _flags() -> dict[str, str]:
    """Return the flags of all commands by parameter name; a parameter has the same flag in every command."""
    commands = getattr(typer.main.get_command(app), "commands", {})
    return flags_of(each for command in commands.values() for each in command.params)


def _usage(error: Any) -> str:  # noqa: ANN401
    """Return an error of the command line's parser as one line."""
    command = error.ctx.command_path if error.ctx else "harness"
    message = error.format_message()
    separator = " " if message.endswith("?") else "; "  # the parser's message may end with a suggestion
    return f"harness: {message.removesuffix('.')}{separator}`{command} --help` shows what is expected"


def _stop(message: str, code: int) -> NoReturn:
    say(without_password(message), err=True)
    sys.exit(code)


def _keep_caches_here() -> None:
    """Make matplotlib and torch keep their caches in the current folder, not in the home or a temporary folder."""
    from harness.paths import WORK_FOLDER

    os.environ.setdefault("MPLCONFIGDIR", str(WORK_FOLDER.absolute() / "matplotlib"))
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(WORK_FOLDER.absolute() / "torchinductor"))
