"""Warns before a replay of rows that drift will not evaluate: those older than the next window of the served version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from shared.contracts.event_time import parse_time
from shared.errors import HomeostatError
from shared.http.service_client import ServiceClient, items

TIMEOUT_S = 3.0


@dataclass(frozen=True)
class NextWindow:
    """Start of the next window of the served generation."""

    start: datetime
    generation: int


def next_window(drift_url: str, model: str) -> NextWindow | None:
    """The next window of `model`; None before the served generation's first row. Raises `HomeostatError` if drift cannot say."""
    with ServiceClient("drift", drift_url, timeout_s=TIMEOUT_S) as drift:
        found = [one for one in items(drift.get("/status"), "models") if one.get("model") == model]
    start = found[0].get("next_window_start") if found else None
    if start is None:
        return None
    return NextWindow(parse_time(str(start), field="next_window_start"), int(found[0].get("generation", 0)))


def unevaluated_text(file: Path, model: str, following: NextWindow, earlier: int, rows: int) -> str:
    """The warning about `earlier` of the `rows` rows; empty if all are evaluated."""
    if not earlier:
        return ""
    which = "every row" if earlier == rows else f"{earlier} of the {rows} rows"
    return (
        f"{which} of {file} will get no verdict: drift evaluates generation {following.generation} of {model} from "
        f"{following.start:%Y-%m-%dT%H:%M:%SZ} on, because newer rows were logged before. They are logged, and used for "
        "training. "
        "For verdicts, deploy the next version and replay before its first live prediction"
    )


def problem_text(error: HomeostatError) -> str:
    """The note if drift could not be asked."""
    return f"{error.message}, so it is not known whether these rows will be evaluated"
