"""The `harness` command: parses, delegates, prints. Commands import what they need, so that help is instant."""

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
INTERRUPTED = 130  # what typer makes of a KeyboardInterrupt


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
    """Entry point: failed work is one line and exit code 1, bad input 2, an interrupt or SIGTERM 130."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # a user's own modules, as `python -m` has it; last, so that it hides nothing: ours may else be found after it
    sys.path += [str(Path(__file__).parents[2]), str(Path.cwd())]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # in a file or pipe the system's encoding may lack what is printed
            stream.reconfigure(encoding="utf-8")
    _keep_caches_here()
    try:
        code = app(standalone_mode=False, prog_name="harness")
    except WorkFailedError as error:
        _stop(f"harness: {error}; what was done before is kept", error.exit_code)
    except HarnessError as error:
        _stop(f"harness: {with_flags(str(error), _flags())}", error.exit_code)
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error of the command line's parser
            _stop(_usage(error), 2)
        if isinstance(error, OSError) and error.errno:
            _stop(f"harness: {error}; what was done before is kept", 1)
        from harness.tracking.connection import is_away

        if is_away(error):
            _stop(f"harness: {StoreAwayError(error)}", StoreAwayError.exit_code)
        raise
    if code == INTERRUPTED:
        _stop("harness: interrupted; every slice that ended is kept", code)
    sys.exit(code or 0)


def _flags() -> dict[str, str]:
    """Return the flags of all commands by their parameters' names; a parameter has the same one in each of them."""
    commands = getattr(typer.main.get_command(app), "commands", {})
    return flags_of(each for command in commands.values() for each in command.params)


def _usage(error: Any) -> str:  # noqa: ANN401
    """One line of an error of the command line's parser."""
    command = error.ctx.command_path if error.ctx else "harness"
    message = error.format_message()
    separator = " " if message.endswith("?") else "; "  # it may end with a suggestion
    return f"harness: {message.removesuffix('.')}{separator}`{command} --help` shows what is expected"


def _stop(message: str, code: int) -> NoReturn:
    say(without_password(message), err=True)
    sys.exit(code)


def _keep_caches_here() -> None:
    """Have matplotlib and torch keep their caches in this folder, not in the user's home or a temporary one."""
    from harness.paths import WORK_FOLDER

    os.environ.setdefault("MPLCONFIGDIR", str(WORK_FOLDER.absolute() / "matplotlib"))
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(WORK_FOLDER.absolute() / "torchinductor"))
