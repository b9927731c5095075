"""`python -m services.console`: serve the console until a signal stops it."""

from __future__ import annotations

import signal
from types import FrameType

from pydantic import ValidationError

from services.console.bootstrap import build
from services.console.settings import ConsoleSettings
from shared.errors import HomeostatError
from shared.files import keep_files_private
from shared.http.server import open_listener
from shared.observability.logs import configure_logs, get_logger
from shared.tls.server_certificate import server_certificate
from shared.tls.settings import TlsSettings


def main() -> int:
    """Run the console; returns the exit code."""
    # uvicorn stops at these signals and then raises them again; without a handler the second one would end in a traceback.
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    keep_files_private()
    log = get_logger(__name__)
    try:
        settings = ConsoleSettings()
        configure_logs("console", settings)
        listener = open_listener(settings.host, settings.port, "HOMEOSTAT_CONSOLE_PORT")
        server = build(settings, listener, certificate=server_certificate(TlsSettings()))
    except ValidationError as error:
        first = error.errors()[0]
        field = "_".join(map(str, first["loc"])).upper()
        variable = field if field.startswith("HOMEOSTAT_") else f"HOMEOSTAT_CONSOLE_{field}"
        log.error("cannot_start", problem=f"{variable}: {first['msg']}", hint="correct the setting")
        return 1
    except HomeostatError as error:
        log.error("cannot_start", problem=error.message, hint=error.hint)
        return 1
    log.info("listening", host=settings.host, port=listener.getsockname()[1])
    server.serve_forever()
    return 0


def _stop(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    raise SystemExit(main())
