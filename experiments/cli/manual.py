"""Format the pages of `--help`: an example, then the commands or options in groups, one line each.

typer's own pages frame each group, so that the options of a sweep would not fit on one screen.
"""

from collections.abc import Iterable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

WIDEST = 100  # columns; longer lines are hard to read
SETTINGS = {"max_content_width": WIDEST}
OTHERS = "Options"
Row = tuple[str, str, str]  # a group, the text that a user types, and its description


class CommandPage(TyperCommand):
    """Format the help of a command: first its example (`epilog`), then its options by group, with the config keys."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Write the command's description and its example."""
        super().format_help_text(ctx, formatter)
        with formatter.indentation():
            formatter.write_text(f"Example: {self.epilog}")

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Write the arguments and options by group, without `--help` itself."""
        _write_groups(formatter, _parameter_rows(self, ctx))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Write nothing: the example is at the top."""


class ContentsPage(TyperGroup):
    """Format the help of the whole program: an example of each command, by group."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Write the commands, then the program's own options."""
        commands = [
            (each.rich_help_panel or OTHERS, str(each.epilog), (each.help or "").partition("\n\n")[0])
            for each in self.commands.values()
            if isinstance(each, CommandPage)
        ]
        _write_groups(formatter, [*commands, *_parameter_rows(self, ctx)])


def _parameter_rows(command: Any, ctx: Any) -> list[Row]:  # noqa: ANN401
    return [_parameter_row(each) for each in command.get_params(ctx) if each.name != "help"]


def _parameter_row(parameter: Any) -> Row:  # noqa: ANN401
    names = [parameter.metavar] if parameter.param_type_name == "argument" else [*parameter.opts, parameter.metavar]
    text = parameter.help
    if "{config_keys}" in text:
        from harness.config import config_keys

        text = text.replace("{config_keys}", ", ".join(config_keys()))
    for said, value in (("default", parameter.default), ("env", parameter.envvar)):
        text += f" [{said}: {value}]" if value else ""
    return parameter.rich_help_panel or OTHERS, " ".join(filter(None, names)), text


def _write_groups(formatter: Any, rows: Iterable[Row]) -> None:  # noqa: ANN401
    """Write the name of each group and its rows below; the columns of all groups have the same width."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for group, name, text in rows:
        groups.setdefault(group, []).append((name, text))
    width = max(len(name) for of_group in groups.values() for name, _ in of_group)
    for group, of_group in groups.items():
        formatter.write(typer.style(f"── {group} ".ljust(formatter.width, "─"), bold=True) + "\n")
        with formatter.indentation():
            formatter.write_dl([(name.ljust(width), text) for name, text in of_group], col_max=width)
