"""One run of an example: its common options, and the stack from start to end with the exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from examples.loop import folder, stack
from examples.loop.clock import LoopStalled


def add_options(parser: argparse.ArgumentParser, *, home: str) -> None:
    """Add the options of every example; `home` names its data folder."""
    parser.add_argument(
        "--home", type=Path, default=Path(".homeostat") / home, help="data root of the example"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--keep", action="store_true", help="leave the stack running at the end")
    parser.add_argument(
        "--free-ports", action="store_true", help="use free ports instead of the default ones"
    )


def run_on_stack(options: argparse.Namespace, console: Console, replay: Callable[[stack.Stack], int]) -> int:
    """Call `replay` on a new stack in an empty data folder, and end the stack unless `--keep` is given; the exit code.

    2: the folder cannot be used   5: the stack did not start   1: the loop stalled   else: what `replay` returned
    """
    home = options.home.absolute()
    try:
        folder.clear(home)
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    console.print(f"starting the stack in {home}", highlight=False)
    try:
        running = stack.start(home, free_ports=options.free_ports, shown=console.is_terminal)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 5
    try:
        return replay(running)
    except LoopStalled as error:
        print(f"error: {error}\nhint: read the logs in {home / 'logs'}", file=sys.stderr)
        return 1
    finally:
        if options.keep:
            console.print(
                f"the stack is still running; stop it with `homeostat down --home {home}`", highlight=False
            )
        else:
            stack.end(home)
