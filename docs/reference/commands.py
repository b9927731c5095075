"""Commands of `homeostat`, as the command line itself describes them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import typer.main

from docs.reference.markdown import code, table


@dataclass(frozen=True)
class Command:
    """One command with the ways it can be called."""

    name: str
    usage: str
    description: str


@cache
def all_commands() -> tuple[Command, ...]:
    """Every command, in the order of `homeostat --help`."""
    from cli.main import app

    group = typer.main.get_command(app)
    commands: dict[str, Any] = vars(group)["commands"]
    return tuple(
        Command(name, _usage(name, command), _first(command.help)) for name, command in commands.items()
    )


def command_table(_: str) -> str:
    """All commands."""
    rows = [(code(command.usage), command.description) for command in all_commands()]
    return table(("command", "does"), rows)


def _usage(name: str, command: Any) -> str:
    words = ["homeostat", name]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            spoken = str(parameter.metavar or parameter.name).upper()
            words.append(spoken if parameter.required else f"[{spoken}]")
    for parameter in command.params:
        if parameter.param_type_name == "option" and "--help" not in parameter.opts:
            words.append(f"[{max(parameter.opts, key=len)}]")
    return " ".join(words)


def _first(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())
