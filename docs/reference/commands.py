"""Commands of `homeostat`, as the command line itself describes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from docs.reference.markdown import code, table


@dataclass(frozen=True)
class Command:
    """One command with the ways it can be called."""

    name: str
    usage: str
    description: str

    @property
    def options(self) -> frozenset[str]:
        """The options that it takes."""
        return frozenset(word.strip("[]") for word in self.usage.split() if word.strip("[").startswith("--"))


@cache
def all_commands() -> tuple[Command, ...]:
    """Every command, in the order of `homeostat --help`."""
    from cli.main import PAGE

    return tuple(command for entry in PAGE for command in _commands(entry.name, entry.load()))


def find_command(words: Sequence[str]) -> Command | None:
    """The command that the words after `homeostat` name: one word, or more where the first ones are groups."""
    known = {command.name: command for command in all_commands()}
    names = (" ".join(words[:count]) for count in (3, 2, 1))
    return next((known[name] for name in names if name in known), None)


def _commands(name: str, command: Any) -> Iterator[Command]:
    if "commands" in vars(command):
        for below, each in vars(command)["commands"].items():
            yield from _commands(f"{name} {below}", each)
    else:
        yield Command(name, _usage(name, command), _first(command.help))


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
            spoken = max(parameter.opts, key=len)
            words.append(spoken if parameter.required else f"[{spoken}]")
    return " ".join(words)


def _first(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())
