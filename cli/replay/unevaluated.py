"""Warns before a replay of rows that drift will not evaluate, or whose windows it evaluates before all of them have arrived."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from local_stack.addresses import Addresses
from shared.contracts.event_time import parse_time
from shared.errors import HomeostatError
from shared.http.service_client import items

TIMEOUT_S = 3.0
_OTHER_NAME = (
    "For verdicts on complete windows, deploy the model under another name (model in loop.yaml), or into another home, and "
    "replay before its first live prediction"
)


@dataclass(frozen=True)
class Progress:
    """How far drift is with a model. `start`: of the next window of the served generation; None before its first row.

    `watermark`: the newest event time that was logged for any generation: windows that end before it count as complete.
    """

    generation: int
    start: datetime | None
    watermark: datetime | None


def read_progress(where: Addresses, model: str) -> Progress | None:
    """The progress of `model`; None if drift does not know it yet. Raises `HomeostatError` if drift cannot say."""
    with where.client("drift", timeout_s=TIMEOUT_S) as drift:
        found = [one for one in items(drift.get("/status"), "models") if one.get("model") == model]
    if not found:
        return None
    start, watermark = (
        parse_time(str(found[0][name]), field=name) if found[0].get(name) is not None else None
        for name in ("next_window_start", "watermark")
    )
    return Progress(int(found[0].get("generation", 0)), start, watermark)


def unevaluated_text(
    file: Path, model: str, progress: Progress, earlier: Callable[[datetime], int], rows: int
) -> str:
    """The warning about rows of the `rows` rows; empty if all are evaluated. `earlier`: the number of rows before a time."""
    late = 0 if progress.start is None else min(rows, earlier(progress.start))
    if late and progress.start is not None:
        return (
            f"{_share(late, rows)} of {file} will get no verdict: drift evaluates generation {progress.generation} of {model} "
            f"from {progress.start:%Y-%m-%dT%H:%M:%SZ} on, because newer rows were logged before. They are logged, and used for "
            f"training. {_OTHER_NAME}"
        )
    old = 0 if progress.watermark is None else min(rows, earlier(progress.watermark))
    if old and progress.watermark is not None:
        return (
            f"the windows of {_share(old, rows)} of {file} may be evaluated before all of their rows and outcomes have arrived: "
            f"{model} has logged rows up to {progress.watermark:%Y-%m-%dT%H:%M:%SZ}, so earlier windows count as complete. "
            f"{_OTHER_NAME}"
        )
    return ""


def _share(some: int, rows: int) -> str:
    return "every row" if some == rows else f"{some} of the {rows} rows"


def problem_text(error: HomeostatError) -> str:
    """The note if drift could not be asked."""
    return f"{error.message}, so it is not known whether these rows will be evaluated"
