"""`backtests.json` beside loop.yaml: which policies of the project were back-tested, and what came out. It belongs under version
control with the project, so that a review sees the figures that a policy was chosen by."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson

from shared.errors import ProjectError
from shared.files import read_regular, write_atomic

RECORD: Final = "backtests.json"
_MAX_BYTES = 16 << 20


def recorded(project: Path, policy: str) -> dict[str, Any] | None:
    """The result recorded for a policy, by its digest; None if it was never back-tested. Raises ProjectError."""
    found: dict[str, Any] | None = _read(project)["policies"].get(policy)
    return found


def armed(project: Path) -> dict[str, Any] | None:
    """The policy that `homeostat arm` wrote last, with the digest of the back-test it was chosen by."""
    found: dict[str, Any] | None = _read(project).get("armed")
    return found


def record_results(project: Path, results: dict[str, dict[str, Any]]) -> None:
    """Add results by the digest of their policy; a policy's earlier result is replaced. Raises ProjectError, OSError."""
    document = _read(project)
    document["policies"] |= results
    _write(project, document)


def record_armed(project: Path, policy: str, result: str) -> None:
    """Record which policy was armed, and the digest of its result (empty: never back-tested). Raises ProjectError, OSError."""
    _write(project, {**_read(project), "armed": {"policy": policy, "result": result}})


def _read(project: Path) -> dict[str, Any]:
    path = project / RECORD
    try:
        document = orjson.loads(read_regular(path, maximum_bytes=_MAX_BYTES))
    except FileNotFoundError:
        return {"policies": {}}
    except (OSError, orjson.JSONDecodeError) as error:
        raise ProjectError(f"{path} cannot be read: {error}", hint="restore or delete it") from error
    if not isinstance(document, dict) or not isinstance(document.get("policies"), dict):
        raise ProjectError(f"{path} is not a record of back-tests", hint="restore or delete it")
    return document


def _write(project: Path, document: dict[str, Any]) -> None:
    content = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    write_atomic(project / RECORD, content + b"\n")
