"""`python -m services.prediction_log shipper` or `sink`: one part of the prediction log as a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from services.prediction_log.bootstrap import run_shipper, run_sink

PARTS = {"shipper": run_shipper, "sink": run_sink}


def main(arguments: Sequence[str]) -> int:
    """Run the named part until SIGTERM or SIGINT; the exit code. 2 where no part, or an unknown one, is named."""
    if len(arguments) != 1 or arguments[0] not in PARTS:
        print(f"usage: python -m services.prediction_log {{{'|'.join(PARTS)}}}", file=sys.stderr)
        return 2
    return PARTS[arguments[0]]()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
