"""`make fuzz`: send hostile requests to every service for `--seconds`; fail if one is answered with a server error."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import structlog

from tests.fuzz.runner import ErrorLog, Result, fuzz
from tests.fuzz.services import all_targets

SHOWN = 10


def report(result: Result, seed_number: int) -> int:
    """Print the first failures and the line of figures; returns the exit status."""
    first_of_each = {failure.error: failure for failure in reversed(result.failures)}
    for failure in list(first_of_each.values())[:SHOWN]:
        print(failure)
    print(result.line(seed_number), flush=True)
    return int(bool(result.failures) or not result.requests)


def main(arguments: Sequence[str]) -> int:
    """Run the fuzz of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    structlog.configure(processors=[ErrorLog()])
    with tempfile.TemporaryDirectory() as folder, all_targets(Path(folder)) as targets:
        return report(fuzz(targets, seconds=options.seconds, seed_number=options.seed), options.seed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
