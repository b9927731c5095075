"""Commands of `homeostat`, as the command line itself describes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

    return tuple(_commands("", typer.main.get_command(app)))


def find_command(words: Sequence[str]) -> Command | None:
    """The command that the words after `homeostat` name: one word, or two where the first is a group."""
    known = {command.name: command for command in all_commands()}
    return known.get(" ".join(words[:2])) or known.get(" ".join(words[:1]))


def _commands(prefix: str, group: Any) -> Iterator[Command]:
    for name, command in vars(group)["commands"].items():
        if "commands" in vars(command):
            yield from _commands(f"{prefix}{name} ", command)
        else:
            yield Command(f"{prefix}{name}", _usage(f"{prefix}{name}", command), _first(command.help))


def command_table(_: str) -> str:
    """All commands."""
    rows = [(code(command.usage), command.description) for command in all_commands()]
    return table(("command", "does"), rows)


def exit_code_table(_: str) -> str:
    """Every exit code, with the errors it stands for."""
    from cli.exit_codes import BY_ERROR, MEANINGS

    errors = {code: kind.__name__ for kind, code in BY_ERROR}
    rows = [
        (code(str(number)), code(errors.get(number, "")), meaning) for number, meaning in MEANINGS.items()
    ]
    return table(("exit code", "error", "meaning"), rows)


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
