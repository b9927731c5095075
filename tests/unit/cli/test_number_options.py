"""Options that take a number: what a wrong value is answered with."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from cli.main import app

# None of these would start a process if its value were accepted, except those whose value is no number at all.
COMMAND_LINES = {
    "demo --part abc": "--part must be a number from 0.01 to 1, not 'abc'.",
    "log query m sql --limit 0": "--limit must be a whole number from 1 to 100000, not '0'.",
    "log tail m --seconds nan": "--seconds must be a number of at least 0, not 'nan'.",
    "log tail m --seconds inf": "--seconds must be a number of at least 0, not 'inf'.",
    "runs --limit 1.5": "--limit must be a whole number from 1 to 1000, not '1.5'.",
    "inject traffic --seed x": "--seed must be a whole number, not 'x'.",
    "drift replay m --false-alarms 0": "--false-alarms must be a number of at least 0.000001, not '0'.",
    "keys create shop --scope read --rate 0": "--rate must be a number from 0.1 to 1000000, not '0'.",
}


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_message_names_option_and_range(line: str) -> None:
    result = CliRunner().invoke(app, line.split(), env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert COMMAND_LINES[line] in result.output


def test_help_still_shows_the_range() -> None:
    result = CliRunner().invoke(app, ["demo", "--help"], env={"COLUMNS": "200"})
    assert "0.01<=x<=1.0" in result.output


def test_numbers_of_other_programs_keep_their_type() -> None:
    """A type without a range is one object for all commands of the process, also of other programs."""
    CliRunner().invoke(app, ["inject", "traffic", "--seed", "x"])
    other = typer.Typer()

    @other.command()
    def count(number: int) -> None:
        """Print it."""
        typer.echo(number)

    assert "is not a valid int" in CliRunner().invoke(other, ["x"], env={"COLUMNS": "200"}).output
