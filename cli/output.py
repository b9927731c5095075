"""How a command speaks: results on standard output, notes and errors on standard error, exit codes (`cli/exit_codes.py`).

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

__all__ = ["FOUND_SOMETHING", "OURS", "Teller", "exit_code", "telling"]

WIDE = 240


class Teller:
    """Speaks for one command. `as_json` silences everything but the result."""

    def __init__(self, as_json: bool, out: Console | None = None, err: Console | None = None) -> None:
        self.as_json = as_json
        self.out = out or _console(stderr=False)
        self.err = err or _console(stderr=True)

    def note(self, text: str) -> None:
        """Something worth knowing while it works."""
        if not self.as_json:
            self.err.print(text, highlight=False, markup=False, soft_wrap=True)

    def result(self, document: Any, shown: RenderableType) -> None:
        """The outcome: `document` for programs, `shown` for people."""
        if self.as_json:
            self.out.file.write(
                orjson.dumps(document, option=orjson.OPT_INDENT_2, default=str).decode() + "\n"
            )
        else:
            # Names and notes are other people's words: brackets in them are no markup.
            self.out.print(shown, highlight=False, markup=not isinstance(shown, str))

    def error(self, error: HomeostatError) -> int:
        """Say what is wrong and what to do; the exit code that goes with it."""
        code = exit_code(error)
        if self.as_json:
            self.result({"error": error.message, "hint": error.hint, "exit_code": code}, "")
        else:
            self.err.print("[bold red]error:[/] ", end="")
            self.err.print(error.message, highlight=False, markup=False, soft_wrap=True)
            if error.hint:
                self.err.print("[bold]try:[/] ", end="")
                self.err.print(error.hint, highlight=False, markup=False, soft_wrap=True)
        return code


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr)
    # In a file or a pipe there is no edge to fold or cut a table at.
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(stderr=stderr, width=WIDE)
    return console


@contextmanager
def telling(as_json: bool) -> Iterator[Teller]:
    """A teller for the block; errors of ours become one line and an exit code, faults show their trace."""
    teller = Teller(as_json)
    try:
        yield teller
    except HomeostatError as error:
        raise typer.Exit(teller.error(error)) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(INTERRUPTED) from error
    except (typer.Exit, typer.Abort):
        raise
    except BrokenPipeError as error:  # who reads us has seen enough
        raise typer.Exit(DONE) from error
    except OSError as error:
        named = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        raise typer.Exit(
            teller.error(OperatorError(named, hint="look at the folder's owner, permissions and free space"))
        ) from error
    except Exception as error:
        teller.err.print_exception(max_frames=8)
        if as_json:
            teller.result({"error": f"unexpected {type(error).__name__}", "hint": "", "exit_code": OURS}, "")
        raise typer.Exit(OURS) from error
