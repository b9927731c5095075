"""Groups of commands: unknown names, and the layout of help."""

from __future__ import annotations

import typer.main
from typer.testing import CliRunner

from cli.command_group import CommandGroup, unwrapped
from cli.main import app


def test_unknown_command_of_a_group_lists_the_known_ones() -> None:
    result = CliRunner().invoke(app, ["keys", "foo"], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "No such command 'foo'. Known commands: create, list, rotate, revoke, log." in result.output


def test_unknown_command_of_a_nested_group_lists_the_known_ones() -> None:
    result = CliRunner().invoke(app, ["log", "dead-letters", "lst"], env={"COLUMNS": "200"})
    assert "No such command 'lst'. Known commands: list, replay." in result.output


def test_paragraphs_of_help_have_no_line_breaks() -> None:
    group = typer.Typer(cls=CommandGroup, help="One\nline.")

    @group.command()
    def first() -> None:
        """Do it.

        A sentence that
        goes on. And
        another.

        The last one.
        """

    @group.command()
    def second() -> None:
        """Do the other."""

    laid_out = unwrapped(typer.main.get_group(group))
    assert laid_out.help == "One line."
    assert (
        laid_out.commands["first"].help == "Do it.\n\nA sentence that goes on. And another.\n\nThe last one."
    )
