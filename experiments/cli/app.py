"""The `harness` command: parses, delegates, prints. Commands import what they need, so that help is instant."""

import os
import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperOption

from experiments.cli import inspect, new, run, serve, sweep
from experiments.cli.options import FLAG
from experiments.cli.prose import say
from experiments.cli.steps import flags_of, with_flags
from harness.errors import HarnessError, StoreAwayError, WorkFailedError, without_password

app = typer.Typer(
    name="harness",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
INTERRUPTED = 130  # what typer makes of a KeyboardInterrupt


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("optimizer-harness"))
        raise typer.Exit


@app.callback()
def harness(
    version: Annotated[
        bool,
        typer.Option("--version", metavar=FLAG, help="Print the version.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    """Which optimizer, learning rate, batch size and dropout should I train this network with?"""


class WithConfigKeys(TyperCommand):
    """A command whose help lists the keys of a config, as the config has them."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Write the help, with the keys in the place of `{config_keys}`."""
        from harness.config import config_keys

        for option in self.params:
            if isinstance(option, TyperOption) and option.help:
                option.help = option.help.replace("{config_keys}", ", ".join(config_keys()))
        super().format_help(ctx, formatter)


app.command("list")(inspect.list_experiments)
app.command(cls=WithConfigKeys)(run.run)
for command in (
    sweep.sweep,
    new.new,
    inspect.status,
    inspect.leaderboard,
    inspect.compare,
    inspect.export,
    inspect.report,
    run.predict,
    run.reproduce,
    serve.register,
    inspect.doctor,
    serve.ui,
):
    app.command()(command)


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
            if not error.format_message():  # no command at all: the help is printed
                sys.exit(2)
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
