"""Groups of commands, and how the help of a command is laid out."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class CommandGroup(TyperGroup):
    """A group that answers an unknown command with those it has."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that `args` begin with. Ends with exit code 2 and the known ones if there is none."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            ctx.fail(f"No such command {args[0]!r}. Known commands: {', '.join(self.list_commands(ctx))}.")
        return super().resolve_command(ctx, args)


def unwrapped(command: Any) -> Any:
    """The command, with each paragraph of its help on one line: Typer keeps the line breaks of a docstring, and wraps again."""
    if command.help:
        command.help = "\n\n".join(" ".join(part.split()) for part in command.help.split("\n\n"))
    for below in getattr(command, "commands", {}).values():
        unwrapped(below)
    return command
