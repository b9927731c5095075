"""Writes the year of flights as a file that `homeostat backtest` replays: `python -m examples.flights.history`."""

from __future__ import annotations

import sys
from pathlib import Path

from examples.flights.data import FEATURES, load_flights
from examples.flights.first_version import PROJECT

DEFAULT = PROJECT / "history.parquet"


def main(argv: list[str] | None = None) -> int:
    """Write the file that the first argument names, by default where `homeostat backtest` looks for it; the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    path = Path(arguments[0]) if arguments else DEFAULT
    rows = load_flights()[["event_time", *FEATURES, "outcome"]]
    rows.to_parquet(path, index=False)
    print(f"wrote {len(rows)} flights to {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
