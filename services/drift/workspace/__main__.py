"""`python -m services.drift.workspace`: adds the kept reports to a workspace of Evidently.

Standard input: `{"folder": …, "model": …}` as JSON; an empty model means all. Standard output: lines of JSON, `progress` while it
works, then `result` or `error`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson

from services.drift.workspace.export import export
from shared.errors import HomeostatError
from shared.files import keep_files_private
from shared.observability.logs import configure_logs
from shared.settings import HomeostatSettings
from shared.stores.reports.report_store import open_report_store


def main() -> int:
    """The exit code is 0 with a result, 1 with an error."""
    keep_files_private()
    settings = HomeostatSettings()
    configure_logs("drift-workspace", settings)
    request = orjson.loads(sys.stdin.buffer.read())
    try:
        store = open_report_store(settings.reports_url)
        _write({"result": export(store, Path(request["folder"]), request["model"], _progress)})
    except HomeostatError as error:
        _write({"error": {"kind": type(error).__name__, "message": error.message, "hint": error.hint}})
        return 1
    return 0


def _progress(done: int, total: int, model: str) -> None:
    _write({"progress": {"done": done, "total": total, "step": model}})


def _write(document: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(document) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    raise SystemExit(main())
