"""`python -m services.retraining`: the retraining service."""

from __future__ import annotations

import logging
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from pydantic import ValidationError

from services.retraining.bootstrap import build
from services.retraining.settings import RetrainingSettings
from shared.errors import HomeostatError
from shared.files import keep_files_private
from shared.http.server import HttpServer, open_listener
from shared.observability.logs import configure_logs, get_logger
from shared.settings import HomeostatSettings
from shared.tls.metrics import watch_certificate
from shared.tls.server_certificate import server_certificate
from shared.tls.settings import TlsSettings


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    # uvicorn stops on this signal and raises it again; without this handler that would be logged as a crash.
    signal.signal(signal.SIGTERM, _stop)
    keep_files_private()
    log = get_logger(__name__)
    try:
        shared, settings = HomeostatSettings(), RetrainingSettings()
        configure_logs("retraining", shared)
        listener = open_listener(settings.host, settings.port, "HOMEOSTAT_RETRAINING_PORT")
        certificate = server_certificate(TlsSettings())
        service = build(shared, settings)
    except ValidationError as error:
        wrong = error.errors()[0]
        prefix = "HOMEOSTAT_RETRAINING_" if error.title == RetrainingSettings.__name__ else "HOMEOSTAT_"
        name = prefix + "_".join(map(str, wrong["loc"])).upper()
        log.error(
            "cannot_start",
            problem=f"{name}: {wrong['msg']}",
            hint="correct the setting; docs/configuration.md lists all settings",
        )
        return 1
    except HomeostatError as error:
        log.error("cannot_start", problem=error.message, hint=error.hint)
        return 1
    log.info("listening", host=settings.host, port=listener.getsockname()[1])
    watch_certificate(service.deps.metrics.registry, certificate)
    HttpServer(service.app, listener, certificate=certificate).serve_forever()
    return 0


def _stop(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)


def run() -> NoReturn:
    """Serve, then exit without waiting for step threads.

    A step thread may still be running. Losing its work is safe, as after `kill -9`; waiting for it, or shutting the interpreter
    down while a library uses it, would make the exit late or unclean.
    """
    try:
        code = main()
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else 0
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
