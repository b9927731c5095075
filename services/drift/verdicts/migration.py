"""Creates the verdict store's tables, or brings those of an earlier release to the present format, when the store is opened.

The format's number is SQLite's `user_version`:

0  scheduled verdicts have the detector `evaluation`
1  they have `inputs` or `performance`
2  each of the two has its own position in the windows of a generation; verdicts have revisions
3  the evidence of realised losses has a state and a position for each generation
"""

from __future__ import annotations

import sqlite3

import orjson
from pydantic import ValidationError

from shared.contracts.verdict import Verdict, cause_key
from shared.errors import OperatorError

FORMAT = 3

_TABLES = (
    """CREATE TABLE IF NOT EXISTS verdicts (
  verdict_id TEXT PRIMARY KEY, model TEXT NOT NULL, generation INTEGER NOT NULL, detector TEXT NOT NULL,
  window_end INTEGER NOT NULL, body TEXT NOT NULL, published INTEGER NOT NULL DEFAULT 0, number INTEGER NOT NULL,
  revision INTEGER NOT NULL DEFAULT 1, outcomes_version INTEGER, open_until INTEGER
)""",
    "CREATE INDEX IF NOT EXISTS verdicts_by_window ON verdicts (model, detector, window_end)",
    "CREATE INDEX IF NOT EXISTS verdicts_unpublished ON verdicts (published, number)",
    "CREATE INDEX IF NOT EXISTS verdicts_open ON verdicts (model, window_end) WHERE outcomes_version IS NOT NULL",
    """CREATE TABLE IF NOT EXISTS generations (
  model TEXT NOT NULL, generation INTEGER NOT NULL, version TEXT NOT NULL, first INTEGER NOT NULL,
  inputs_until INTEGER NOT NULL, performance_until INTEGER NOT NULL,
  PRIMARY KEY (model, generation)
)""",
    """CREATE TABLE IF NOT EXISTS error_detectors (
  model TEXT NOT NULL, generation INTEGER NOT NULL, until INTEGER NOT NULL, state TEXT NOT NULL,
  PRIMARY KEY (model, generation)
)""",
)


def prepare(connection: sqlite3.Connection) -> None:
    """Create or migrate, in one transaction. Raises OperatorError for a store that a later release wrote, sqlite3.Error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found > FORMAT:
            raise OperatorError(
                f"the verdict store has format {found}, which a later release wrote; this release reads up to {FORMAT}",
                hint="run the later release again, or move the file away: then every window in the lake is evaluated anew",
            )
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'verdicts'").fetchone():
            if found < 1:
                _name_detectors(connection)
            if found < 2:
                _separate_positions(connection)
        for statement in _TABLES:
            connection.execute(statement)
        if found < 3:
            # The evidence begins with the next window: those of years would be read again, and could alarm about the past.
            connection.execute(
                "INSERT OR IGNORE INTO error_detectors (model, generation, until, state)"
                " SELECT model, generation, performance_until, '{}' FROM generations"
            )
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


def _separate_positions(connection: sqlite3.Connection) -> None:
    """Both begin where the one position was: what was evaluated had its inputs and its performance judged."""
    connection.execute("ALTER TABLE generations RENAME COLUMN evaluated_until TO inputs_until")
    connection.execute("ALTER TABLE generations ADD COLUMN performance_until INTEGER NOT NULL DEFAULT 0")
    connection.execute("UPDATE generations SET performance_until = inputs_until")
    connection.execute("ALTER TABLE verdicts ADD COLUMN revision INTEGER NOT NULL DEFAULT 1")
    connection.execute("ALTER TABLE verdicts ADD COLUMN outcomes_version INTEGER")
    connection.execute("ALTER TABLE verdicts ADD COLUMN open_until INTEGER")
