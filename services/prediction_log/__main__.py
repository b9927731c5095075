"""`python -m services.prediction_log shipper` or `sink`: one process of the prediction log."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from services.prediction_log.bootstrap import run_shipper, run_sink
from shared.errors import HomeostatError
from shared.files import keep_files_private

PROCESSES = {"shipper": run_shipper, "sink": run_sink}


def main(arguments: Sequence[str]) -> int:
    """Run the named process until SIGTERM or SIGINT; the exit code: 2 for a missing or unknown name, 1 where it cannot start."""
    if len(arguments) != 1 or arguments[0] not in PROCESSES:
        print(f"usage: python -m services.prediction_log {{{'|'.join(PROCESSES)}}}", file=sys.stderr)
        return 2
    keep_files_private()
    try:
        return PROCESSES[arguments[0]]()
    except HomeostatError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
