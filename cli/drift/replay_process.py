"""The process that replays drift detection, or exports its evaluations: it is given a request, and reports progress and a result.

A process of its own, because the command line imports no service, and because a replay of months would hold up a running service.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from shared import errors

MODULE = "services.drift.replay"
_SHOWN_LOG = 2000


def run_replay(
    request: Mapping[str, Any],
    environment: Mapping[str, str],
    on_progress: Callable[[dict[str, Any]], None],
    *,
    command: tuple[str, ...] = (sys.executable, "-m", MODULE),
    doing: str = "replay",
    extra: str = "drift",
) -> dict[str, Any]:
    """The result for the request; `extra`: what the process needs installed.

    Raises the error that the process names; OperatorError if it ended without an answer.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={"HOMEOSTAT_LOG_LEVEL": "warning", **os.environ, **environment},
        )
        try:
            return _result(process, orjson.dumps(dict(request)), on_progress, log, doing, extra)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def _result(
    process: subprocess.Popen[bytes],
    request: bytes,
    on_progress: Callable[[dict[str, Any]], None],
    log: Any,
    doing: str,
    extra: str,
) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with process.stdin as given:
            given.write(request)
    except BrokenPipeError:
        pass  # it has ended; its log says why
    for line in process.stdout:
        found = orjson.loads(line)
        if "progress" in found:
            on_progress(found["progress"])
        elif "error" in found:
            raise _error(found["error"])
        else:
            result: dict[str, Any] = found["result"]
            return result
    process.wait()
    log.seek(0)
    last = log.read()[-_SHOWN_LOG:].decode("utf-8", "replace").strip().splitlines()
    raise errors.OperatorError(
        f"the {doing} ended without a result, with exit code {process.returncode}"
        + (f": {last[-1]}" if last else ""),
        hint=f"install the extra `{extra}`, or give the machine more memory",
    )


def _error(found: Mapping[str, str]) -> errors.HomeostatError:
    kind = getattr(errors, found["kind"], None)
    message, hint = found["message"], found["hint"]
    for known in (errors.NotFound, errors.ProjectError, errors.IntegrityError, errors.CallerError):
        if isinstance(kind, type) and issubclass(kind, known):
            return known(message, hint=hint)
    return errors.OperatorError(message, hint=hint)
