"""What a command prints: results on standard output, notes and errors on standard error; and its exit code.

With `--json` a result is one JSON document on standard output, also an error: `{"error": …, "hint": …, "exit_code": …}`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import typer
from rich.console import Console, RenderableType

from cli.exit_codes import DONE, FOUND_SOMETHING, INTERRUPTED, OURS, exit_code
from shared.errors import HomeostatError, OperatorError

__all__ = ["FOUND_SOMETHING", "OURS", "Output", "command_output", "exit_code", "short_version"]

WIDE = 240
SHORT = 12


class Output:
    """The output of one command. With `as_json` only the result is printed."""

    def __init__(self, as_json: bool, out: Console | None = None, err: Console | None = None) -> None:
        self.as_json = as_json
        self.out = out or _console(stderr=False)
        self.err = err or _console(stderr=True)

    def note(self, text: str) -> None:
        """Print a line of progress."""
        if not self.as_json:
            self.err.print(text, highlight=False, markup=False, soft_wrap=True)

    def warning(self, text: str) -> None:
        """Print a warning in yellow. With `--json` the result has it."""
        if not self.as_json:
            self.err.print(f"warning: {text}", style="yellow", highlight=False, markup=False, soft_wrap=True)

    def result(self, document: Any, shown: RenderableType) -> None:
        """Print the result: `document` for programs, `shown` for people."""
        if self.as_json:
            self.out.file.write(
                orjson.dumps(document, option=orjson.OPT_INDENT_2, default=str).decode() + "\n"
            )
        else:
            # Names and notes may contain brackets, which are not markup.
            text = isinstance(shown, str)
            self.out.print(
                shown, highlight=False, markup=not text, soft_wrap=text and not self.out.is_terminal
            )

    def error(self, error: HomeostatError) -> int:
        """Print an error and its hint; the exit code that belongs to it."""
        code = exit_code(error)
        if self.as_json:
            self.result({"error": error.message, "hint": error.hint, "exit_code": code}, "")
        else:
            self.err.print("[bold red]error:[/] ", end="")
            self.err.print(error.message, highlight=False, markup=False, soft_wrap=True)
            if error.hint:
                self.err.print("[bold]hint:[/] ", end="")
                self.err.print(error.hint, highlight=False, markup=False, soft_wrap=True)
        return code


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr)
    # A file or a pipe has no width, so tables are not wrapped.
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(stderr=stderr, width=WIDE)
    return console


@contextmanager
def command_output(as_json: bool) -> Iterator[Output]:
    """The output of the block: a HomeostatError becomes one line and an exit code, an unexpected error shows its traceback."""
    output = Output(as_json)
    try:
        yield output
    except HomeostatError as error:
        raise typer.Exit(output.error(error)) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(INTERRUPTED) from error
    except (typer.Exit, typer.Abort):
        raise
    except BrokenPipeError as error:  # the reader, such as `head`, has closed the pipe
        raise typer.Exit(DONE) from error
    except OSError as error:
        named = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        raise typer.Exit(
            output.error(OperatorError(named, hint="check the folder's owner, permissions and free space"))
        ) from error
    except Exception as error:
        output.err.print_exception(max_frames=8)
        if as_json:
            output.result({"error": f"unexpected {type(error).__name__}", "hint": "", "exit_code": OURS}, "")
        raise typer.Exit(OURS) from error


def short_version(version: str) -> str:
    """The first 12 characters of a version, as shown to people."""
    return version[:SHORT]
