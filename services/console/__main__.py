"""`python -m services.console`: the console as a process of the stack."""

from __future__ import annotations

import signal
from types import FrameType

from pydantic import ValidationError

from local_stack.settings import LocalStackSettings
from services.console.bootstrap import build, open_door, serve
from shared.errors import HomeostatError
from shared.observability.logs import configure_logs, get_logger


def main() -> int:
    """Serve until told to stop; the exit code."""
    # uvicorn stops at this signal and then raises it again; without a handler of ours that second time would look like a crash.
    signal.signal(signal.SIGTERM, _stop)
    log = get_logger(__name__)
    try:
        settings = LocalStackSettings()
        configure_logs("console", settings)
        door = open_door(settings)
    except ValidationError as error:
        wrong = error.errors()[0]
        name = "HOMEOSTAT_" + "_".join(map(str, wrong["loc"])).upper()
        log.error("cannot_start", problem=f"{name}: {wrong['msg']}", hint="mend the setting")
        return 1
    except HomeostatError as error:
        log.error("cannot_start", problem=error.message, hint=error.hint)
        return 1
    log.info("listening", host=settings.console_host, port=door.getsockname()[1])
    serve(build(settings), door)
    return 0


def _stop(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    raise SystemExit(main())
