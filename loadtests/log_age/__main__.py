"""Benchmark of an old log: CPU time and peak memory of what reads it, by age. The exit status is 0 only if every limit is kept.

    python -m loadtests.log_age [--rows 100000,1000000] [--commits 10000,100000,1000000]

Each number of rows is measured with one commit, and each number of commits with the fewest rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from loadtests.log_age.costs import COMMITS, ROWS, broken_limits, measure_ages


def add_options(parser: argparse.ArgumentParser) -> None:
    """The ages."""
    parser.add_argument(
        "--rows", type=numbers, default=ROWS, help="numbers of rows, with commas between them"
    )
    parser.add_argument("--commits", type=numbers, default=COMMITS, help="numbers of commits")
    parser.add_argument("--keep", type=Path, help="folder for the logs, which are kept and used again")


def numbers(text: str) -> tuple[int, ...]:
    """Numbers with commas between them.

    >>> numbers("1,20"), numbers("")
    ((1, 20), ())
    """
    return tuple(int(number) for number in text.split(",") if number)


def main() -> int:
    """Measure and print; 0 if every limit is kept, else 1."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    asked = parser.parse_args()
    failed = broken_limits(measure_ages(asked.rows, asked.commits, asked.keep))
    print(f"log-age: {'failed: ' + '; '.join(failed) if failed else 'ok'}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
