"""Brings the verdict store of an earlier release to the present format, once, when it is opened.

The format's number is SQLite's `user_version`:

0  scheduled verdicts have the detector `evaluation`
1  they have `inputs` or `performance`
"""

from __future__ import annotations

import sqlite3

import orjson
from pydantic import ValidationError

from shared.contracts.verdict import Verdict, cause_key
from shared.errors import OperatorError

FORMAT = 1


def migrate(connection: sqlite3.Connection) -> None:
    """Migrate in one transaction. Raises OperatorError for a store that a later release wrote, sqlite3.Error."""
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > FORMAT:
        raise OperatorError(
            f"the verdict store has format {found}, which a later release wrote; this release reads up to {FORMAT}",
            hint="run the later release again, or move the file away: then every window in the lake is evaluated anew",
        )
    if found == FORMAT:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        _name_detectors(connection)
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _name_detectors(connection: sqlite3.Connection) -> None:
    """A verdict with a loss of the reference waited for outcomes: `performance`. The others: `inputs`.

    A published verdict keeps its id, which reports and the ledger know. One that was not published gets the id of its content,
    as retraining requires. A window whose verdict is stored is not evaluated again, so its generation is moved past it.
    """
    rows = connection.execute(
        "SELECT verdict_id, body, published FROM verdicts WHERE detector = 'evaluation'"
    ).fetchall()
    for verdict_id, body, published in rows:
        try:
            document = orjson.loads(body)
            document["detector"] = "inputs" if document.get("reference_loss") is None else "performance"
            verdict = Verdict.model_validate(document)
        except (orjson.JSONDecodeError, TypeError, KeyError, ValidationError):
            continue  # unreadable before, and so it stays
        if not published:
            key = cause_key(verdict.model, verdict.detector, verdict.version, verdict.window_end)
            verdict = verdict.model_copy(update={"verdict_id": key})
        connection.execute(
            "UPDATE verdicts SET verdict_id = ?, detector = ?, body = ? WHERE verdict_id = ?",
            (verdict.verdict_id, verdict.detector, verdict.model_dump_json(), verdict_id),
        )
    connection.execute(
        "UPDATE generations SET evaluated_until = MAX(evaluated_until, COALESCE((SELECT MAX(window_end) FROM verdicts WHERE"
        " verdicts.model = generations.model AND verdicts.generation = generations.generation AND detector != 'request'), 0))"
    )
