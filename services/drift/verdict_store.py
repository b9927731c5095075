"""Verdicts and the first rows of generations, kept in SQLite before anyone is told.

A verdict is put if absent, under its id: examined twice, it is stored and published as first reached. What is not yet marked as
published is published again after a restart, with the same id.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock

from services.drift.windows import from_micros, to_micros
from shared.contracts.verdict import Verdict
from shared.errors import OperatorError, UnknownName

_TABLES = """
CREATE TABLE IF NOT EXISTS verdicts (
  verdict_id TEXT PRIMARY KEY, model TEXT NOT NULL, generation INTEGER NOT NULL, detector TEXT NOT NULL,
  window_end INTEGER NOT NULL, body TEXT NOT NULL, published INTEGER NOT NULL DEFAULT 0, number INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS verdicts_by_window ON verdicts (model, detector, window_end);
CREATE INDEX IF NOT EXISTS verdicts_unpublished ON verdicts (published, number);
CREATE TABLE IF NOT EXISTS generations (
  model TEXT NOT NULL, generation INTEGER NOT NULL, version TEXT NOT NULL, first INTEGER NOT NULL,
  examined_until INTEGER NOT NULL,
  PRIMARY KEY (model, generation)
);
"""


@dataclass(frozen=True)
class Generation:
    """A generation as the lake shows it: its version, the event time of the first of its rows that was seen, and where its
    next window starts (the first row until a window was judged)."""

    generation: int
    version: str
    first: datetime
    examined_until: datetime


class VerdictStore:
    """The one writer of `path`. Raises OperatorError where the file cannot be opened or written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise OperatorError(
                f"the verdict store {path} cannot be opened: {error}",
                remedy="free the disk or mend the folder's rights",
            ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def put(self, verdict: Verdict) -> bool:
        """Store unless there; True if it was not. Durable when this returns."""
        with self._cursor() as cursor:
            cursor.execute(
                "INSERT OR IGNORE INTO verdicts (verdict_id, model, generation, detector, window_end, body, number)"
                " VALUES (?, ?, ?, ?, ?, ?, (SELECT COALESCE(MAX(number), 0) + 1 FROM verdicts))",
                (
                    verdict.verdict_id,
                    verdict.model,
                    verdict.generation,
                    verdict.detector,
                    to_micros(verdict.window_end),
                    verdict.model_dump_json(),
                ),
            )
            return cursor.rowcount == 1

    def get(self, verdict_id: str) -> Verdict:
        """The verdict of that id. Raises UnknownName."""
        found = self._verdicts("WHERE verdict_id = ?", (verdict_id,))
        if not found:
            raise UnknownName(f"there is no verdict {verdict_id}", remedy="GET /verdicts lists what there is")
        return found[0]

    def latest(self, model: str | None, limit: int) -> list[Verdict]:
        """The newest verdicts, newest first."""
        return [Verdict.model_validate_json(body) for body in self.latest_as_json(model, limit)]

    def latest_as_json(self, model: str | None, limit: int) -> list[str]:
        """The same as they are stored: reading hundreds of them again and again costs their listener nothing but the text."""
        if model is None:
            return self._bodies("ORDER BY number DESC LIMIT ?", (limit,))
        return self._bodies("WHERE model = ? ORDER BY number DESC LIMIT ?", (model, limit))

    def last_examination(self, model: str) -> Verdict | None:
        """The examination with the last window end."""
        found = self._verdicts(
            "WHERE model = ? AND detector = 'examination' ORDER BY window_end DESC, number DESC LIMIT 1",
            (model,),
        )
        return found[0] if found else None

    def unpublished(self, limit: int) -> list[Verdict]:
        """Verdicts not yet known to be on the topic, in the order they were reached."""
        return self._verdicts("WHERE published = 0 ORDER BY number LIMIT ?", (limit,))

    def count_unpublished(self) -> int:
        """How many verdicts wait to be published."""
        with self._cursor() as cursor:
            return int(cursor.execute("SELECT COUNT(*) FROM verdicts WHERE published = 0").fetchone()[0])

    def mark_published(self, verdict_id: str) -> None:
        """Remember that the topic has it."""
        with self._cursor() as cursor:
            cursor.execute("UPDATE verdicts SET published = 1 WHERE verdict_id = ?", (verdict_id,))

    def put_generation(self, model: str, seen: Generation) -> None:
        """Remember a generation's first row unless it is known: rows that come late do not move its windows."""
        with self._cursor() as cursor:
            cursor.execute(
                "INSERT OR IGNORE INTO generations VALUES (?, ?, ?, ?, ?)",
                (model, seen.generation, seen.version, to_micros(seen.first), to_micros(seen.examined_until)),
            )

    def advance(self, model: str, generation: int, examined_until: datetime) -> None:
        """Remember where the generation's next window starts; only ever forward."""
        with self._cursor() as cursor:
            cursor.execute(
                "UPDATE generations SET examined_until = MAX(examined_until, ?) WHERE model = ? AND generation = ?",
                (to_micros(examined_until), model, generation),
            )

    def generations(self, model: str) -> list[Generation]:
        """Generations seen, oldest first."""
        with self._cursor() as cursor:
            rows = cursor.execute(
                "SELECT generation, version, first, examined_until FROM generations WHERE model = ? ORDER BY generation",
                (model,),
            ).fetchall()
        return [
            Generation(int(number), str(version), from_micros(int(first)), from_micros(int(until)))
            for number, version, first, until in rows
        ]

    def _verdicts(self, rest: str, values: tuple[object, ...]) -> list[Verdict]:
        return [Verdict.model_validate_json(body) for body in self._bodies(rest, values)]

    def _bodies(self, rest: str, values: tuple[object, ...]) -> list[str]:
        with self._cursor() as cursor:
            return [str(row[0]) for row in cursor.execute(f"SELECT body FROM verdicts {rest}", values)]

    @contextmanager
    def _cursor(self) -> Iterator[sqlite3.Cursor]:
        with self._lock:
            try:
                yield self._connection.cursor()
            except sqlite3.Error as error:
                raise OperatorError(
                    f"the verdict store {self._path} does not work: {error}",
                    remedy="free the disk or mend the file's rights",
                ) from error
