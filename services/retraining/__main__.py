"""`python -m services.retraining`: the retraining service."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

import uvicorn
from pydantic import ValidationError

from services.retraining.bootstrap import build
from services.retraining.settings import RetrainingSettings
from shared.errors import HomeostatError, OperatorError
from shared.files import keep_files_private
from shared.observability.logs import configure_logs, get_logger
from shared.settings import HomeostatSettings


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    # uvicorn stops on this signal and raises it again; without this handler that would be logged as a crash.
    signal.signal(signal.SIGTERM, _stop)
    keep_files_private()
    log = get_logger(__name__)
    try:
        shared, settings = HomeostatSettings(), RetrainingSettings()
        configure_logs("retraining", shared)
        listening_socket = _open_socket(settings.host, settings.port)
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
    log.info("listening", host=settings.host, port=listening_socket.getsockname()[1])
    uvicorn.Server(uvicorn.Config(service.app, log_config=None, access_log=False)).run(
        sockets=[listening_socket]
    )
    return 0


def _stop(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)


def _open_socket(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128
        )
    except OSError as error:
        raise OperatorError(
            f"port {port} on {host} cannot be opened: {error.strerror}",
            hint="stop the process that uses the port, or set HOMEOSTAT_RETRAINING_PORT",
        ) from error


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
