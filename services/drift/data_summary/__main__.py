"""`python -m services.drift.data_summary MODEL`: the summary of the newest logged rows, as JSON on standard output.

A process of its own, at low priority and with limits of its memory and time: rows of a model may be large, and a summary must not
disturb monitoring. Drift waits for it, and ends it; the limit of time here is for a drift service that was killed meanwhile.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import Any, Final

import orjson

from services.drift.data_summary.summary import summary_of
from shared.errors import HomeostatError
from shared.files import keep_files_private
from shared.observability.logs import configure_logs, get_logger, log_unknown_error
from shared.settings import HomeostatSettings

MEMORY_BYTES: Final = 1 << 30
SECONDS: Final = 300
_NICENESS: Final = 10

_log = get_logger(__name__)


def main(arguments: list[str]) -> int:
    """Write `{"summary": …}`, or `{"problem": …}` and exit with 1."""
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, resource.RLIM_INFINITY))
    signal.alarm(SECONDS)
    keep_files_private()
    settings = HomeostatSettings()
    configure_logs("drift-data-summary", settings)
    try:
        found: dict[str, Any] = {"summary": summary_of(settings, arguments[0])}
    except HomeostatError as error:
        found = {"problem": error.message}
    except MemoryError:
        found = {"problem": f"the summary needs more than {MEMORY_BYTES >> 30} GiB of memory"}
    except Exception as error:
        found = {"problem": f"unknown error, error_id {log_unknown_error(_log, error)} in the log"}
    sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY))
    return 1 if "problem" in found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
