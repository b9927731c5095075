"""`python -m services.drift.replay`: the process behind `homeostat drift replay`.

It reads a request, one JSON object, on standard input, and writes JSON objects on standard output, one per line: `progress` while
it works, and last `result` or `error`. Logs go to standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from services.drift.evaluation.evaluator import Evaluator
from services.drift.evaluation.evidently_adapter import EvidentlyAdapter
from services.drift.monitoring.lake_reader import DeltaLakeReader
from services.drift.monitoring.references import StoredReferences
from services.drift.replay.file_past import file_past, file_reference
from services.drift.replay.past import Configured, LakeRows, Past, rows_between
from services.drift.replay.plot import page_of, svg_of
from services.drift.replay.request import ReplayRequest
from services.drift.replay.summary import Summary
from services.drift.replay.windows_replay import Progress, Replay, Replayed
from services.drift.settings import DriftSettings
from services.drift.verdicts.store import VerdictStore
from shared.contracts.loop_spec import LoopSpec
from shared.data_checks.table_file import read_table
from shared.errors import HomeostatError, NotFound
from shared.files import keep_files_private, write_atomic
from shared.models.signed_versions.installation_keys import Keys
from shared.observability.logs import configure_logs, get_logger, log_unknown_error
from shared.settings import HomeostatSettings
from shared.stores.lake import Lake
from shared.stores.model_store import open_model_store

_log = get_logger(__name__)


def main() -> int:
    """Replay what the request on standard input asks for. Exit code 1 after an error."""
    os.environ["DO_NOT_TRACK"] = "1"
    keep_files_private()
    settings = HomeostatSettings()
    configure_logs("drift-replay", settings)
    try:
        request = ReplayRequest.model_validate_json(sys.stdin.buffer.read())
        with TemporaryDirectory(prefix="homeostat-replay-") as folder:
            _write({"result": answer(request, settings, Path(folder), _progress)})
    except HomeostatError as error:
        _write({"error": {"kind": type(error).__name__, "message": error.message, "hint": error.hint}})
        return 1
    except Exception as error:
        error_id = log_unknown_error(_log, error)
        _write({"error": {"kind": "", "message": "unknown error", "hint": f"error_id {error_id} in the log"}})
        return 1
    return 0


def answer(
    request: ReplayRequest, settings: HomeostatSettings, folder: Path, on_progress: Callable[[Progress], None]
) -> dict[str, Any]:
    """The result of a replay; writes the plot, if one is asked for."""
    past = past_of(request, settings, folder)
    verdicts = VerdictStore(folder / "verdicts.sqlite")
    try:
        evaluator = Evaluator(EvidentlyAdapter(), DriftSettings().sample_rows)
        found = Replay(
            past, evaluator, verdicts, request.interval, stream=request.stream, on_progress=on_progress
        ).run()
    finally:
        verdicts.close()
    if request.plot is not None:
        title = f"Replay of {past.model}"
        draw = svg_of if request.plot.suffix == ".svg" else page_of
        write_atomic(request.plot, draw(title, found.verdicts, request.change_at).encode())
    return summary_of(past, found, request).document() | {"plot": str(request.plot) if request.plot else None}


def past_of(request: ReplayRequest, settings: HomeostatSettings, folder: Path) -> Past:
    """The rows of the file that the request names, or what the model has logged."""
    configured = Configured(request.loop, request.false_alarms)
    if request.rows is not None and request.reference is not None and request.loop is not None:
        loop = configured.of(request.loop)
        version = sha256(request.reference.read_bytes()).hexdigest()
        return file_past(
            loop, read_table(request.rows), file_reference(loop, read_table(request.reference), version)
        )
    keys = Keys(settings.home / "keys")
    store = open_model_store(settings.model_store_url, keys)
    references = StoredReferences(store, folder / "versions", keys.verifying, configure=configured.of)
    model = request.model
    live = store.live_release(model)
    if live is None:
        known = ", ".join(store.models())
        raise NotFound(
            f"{settings.home} has no released model {model}",
            hint=f"it has {known}" if known else "name the home with --home, or deploy a version first",
        )
    if request.rows is not None:
        reference = references.get(model, live.version)
        return file_past(reference.loop, read_table(request.rows), reference)
    lake = Lake(settings.lake_url)
    return Past(model, references, DeltaLakeReader(lake), LakeRows(lake, references, model))


def summary_of(past: Past, found: Replayed, request: ReplayRequest) -> Summary:
    """What the verdicts say."""
    loops: dict[str, LoopSpec] = {
        one.version: past.references.get(past.model, one.version).loop
        for one in found.generations.generations
    }
    return Summary(
        past.model,
        found.verdicts,
        {
            version: loop.performance.outcome.delay
            for version, loop in loops.items()
            if loop.performance is not None
        },
        found.false_alarms_per_30_days,
        found.stream,
        request.change_at,
        found.generations.skipped,
        lambda start, end: rows_between(past, found.generations, start, end),
    )


def _progress(progress: Progress) -> None:
    _write({"progress": {"done": progress.done, "total": progress.total, "step": progress.step}})


def _write(document: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(document) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    raise SystemExit(main())
