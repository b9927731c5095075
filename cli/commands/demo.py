"""`homeostat demo`: replay a real year of flights through the loop."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.options import Home, Json
from cli.output import command_output
from shared.errors import OperatorError

DEFAULT_HOME = Path(".homeostat") / "flights"


def demo(
    part: Annotated[float, typer.Option(min=0.01, max=1.0, help="Share of the year to replay.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    keep: Annotated[bool, typer.Option(help="Keep the stack running at the end.")] = False,
    free_ports: Annotated[bool, typer.Option(help="Use free ports instead of the default ones.")] = False,
    inject: Annotated[
        str,
        typer.Option(
            help="Faults to inject during the replay, comma-separated: broker-down, kill-shipper, kill-sink, kill-drift, "
            "kill-retraining, bad-challenger."
        ),
    ] = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Replay flights, detect drift, retrain and release new versions; then print a table and a one-line result.

    The exit code is 0 if no record was lost and no request failed. For the full year, at least three versions must also
    be promoted, and their log-loss must be at least 0.03 lower than that of the first version.
    """
    from local_stack.supervisor.process_specs import SOURCES

    with command_output(as_json):
        if not (SOURCES / "examples" / "flights" / "demo.py").is_file():
            raise OperatorError(
                "the flights example is not installed here",
                hint="run the demo from a clone of the repository: `make demo`",
            )
        options = [f"--part={part}", f"--seed={seed}"]
        # The demo runs in the source folder; a relative --home is relative to the current folder.
        options += [f"--home={(home or DEFAULT_HOME).absolute()}"]
        options += [f"--inject={inject}"] if inject else []
        given = {"--keep": keep, "--free-ports": free_ports, "--json": as_json}
        options += [name for name, wanted in given.items() if wanted]
        raise typer.Exit(_run([sys.executable, "-m", "examples.flights.demo", *options], SOURCES))


def _run(command: list[str], folder: Path) -> int:
    """Run in the foreground. Ctrl-C also reaches the demo, which then stops its stack; this process only waits for it."""
    from local_stack.supervisor.process_specs import QUIET

    process = subprocess.Popen(command, cwd=folder, env={**os.environ, **QUIET})
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
