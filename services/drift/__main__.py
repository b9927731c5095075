"""`python -m services.drift`: evaluate the windows of every released model, and serve the HTTP API."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from services.drift.bootstrap import assemble
from services.drift.settings import DriftSettings
from shared.errors import HomeostatError
from shared.files import keep_files_private
from shared.http.server import HttpServer, open_listener
from shared.observability.logs import configure_logs
from shared.settings import HomeostatSettings


def main() -> int:
    """Run until a signal stops it. Exit code 1 with a message if a setting or store must be fixed first."""
    os.environ["DO_NOT_TRACK"] = "1"
    keep_files_private()
    shared, settings = HomeostatSettings(), DriftSettings()
    configure_logs("drift", shared)
    try:
        listener = open_listener(settings.host, settings.port, "HOMEOSTAT_DRIFT_PORT")
        drift = assemble(shared, settings)
    except HomeostatError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    drift.start()
    # uvicorn shuts down in order and then sends itself the signal again: that one must not end the process before `stop`.
    signal.signal(signal.SIGTERM, _already_ending)
    try:
        HttpServer(drift.app, listener, certificate=drift.certificate).serve_forever()
    finally:
        drift.stop()
    return 0


def _already_ending(number: int, frame: FrameType | None) -> None:
    """Ignore the signal: the service is already stopping."""


if __name__ == "__main__":
    raise SystemExit(main())
