"""Verdicts and the first rows of generations, stored in SQLite before they are published.

A verdict is stored under its id unless that exists: a window evaluated twice keeps its first verdict. What is not yet marked as
published is published again after a restart, with the same id. A row that cannot be read counts as absent: it is logged once and
delays no other, and the same window evaluated again replaces it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock

from pydantic import ValidationError

from services.drift.verdicts.migration import migrate
from shared.contracts.event_time import from_micros, to_micros
from shared.contracts.verdict import SCHEDULED, State, Verdict
from shared.errors import NotFound, OperatorError
from shared.observability.logs import get_logger

_log = get_logger(__name__)

# What the column `published` says.
_WAITING, _PUBLISHED, _UNREADABLE, _REFUSED = 0, 1, -1, -2

_TABLES = """
CREATE TABLE IF NOT EXISTS verdicts (
  verdict_id TEXT PRIMARY KEY, model TEXT NOT NULL, generation INTEGER NOT NULL, detector TEXT NOT NULL,
  window_end INTEGER NOT NULL, body TEXT NOT NULL, published INTEGER NOT NULL DEFAULT 0, number INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS verdicts_by_window ON verdicts (model, detector, window_end);
CREATE INDEX IF NOT EXISTS verdicts_unpublished ON verdicts (published, number);
CREATE TABLE IF NOT EXISTS generations (
  model TEXT NOT NULL, generation INTEGER NOT NULL, version TEXT NOT NULL, first INTEGER NOT NULL,
  evaluated_until INTEGER NOT NULL,
  PRIMARY KEY (model, generation)
);
"""

_SCHEDULED = "detector IN ({})".format(", ".join(f"'{each}'" for each in SCHEDULED))
_SELECT = f"SELECT verdict_id, body FROM verdicts WHERE published != {_UNREADABLE}"


@dataclass(frozen=True)
class Generation:
    """A generation as the lake shows it: its version, the event time of the first of its rows that was seen, and where its
    next window starts (the first row until a window was evaluated)."""

    generation: int
    version: str
    first: datetime
    evaluated_until: datetime


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
            migrate(self._connection)
        except (OSError, sqlite3.Error) as error:
            raise OperatorError(
                f"the verdict store {path} cannot be opened: {error}",
                hint="free disk space or fix the folder's permissions",
            ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def put(self, verdict: Verdict) -> bool:
        """Store a verdict; False if its id was stored before. Replaces an unreadable row. Durable when this returns."""
        with self._cursor() as cursor:
            cursor.execute(
                "INSERT INTO verdicts (verdict_id, model, generation, detector, window_end, body, number)"
                " VALUES (?, ?, ?, ?, ?, ?, (SELECT COALESCE(MAX(number), 0) + 1 FROM verdicts))"
                " ON CONFLICT (verdict_id) DO UPDATE SET generation = excluded.generation, body = excluded.body,"
                f" published = {_WAITING}, number = excluded.number WHERE published = {_UNREADABLE}",
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
        """The verdict of that id. Raises NotFound."""
        found = self._verdicts("AND verdict_id = ?", (verdict_id,), 1)
        if not found:
            raise NotFound(f"there is no verdict {verdict_id}", hint="GET /verdicts lists the verdicts")
        return found[0]

    def latest(self, model: str | None, limit: int) -> list[Verdict]:
        """The newest verdicts, newest first."""
        if model is None:
            return self._verdicts("ORDER BY number DESC", (), limit)
        return self._verdicts("AND model = ? ORDER BY number DESC", (model,), limit)

    def latest_as_json(self, model: str | None, limit: int) -> list[str]:
        """The same as stored text: pollers read hundreds of them, and parsing each would cost more than sending it."""
        about, values = ("", (limit,)) if model is None else ("AND model = ?", (model, limit))
        with self._cursor() as cursor:
            rows = cursor.execute(f"{_SELECT} {about} ORDER BY number DESC LIMIT ?", values).fetchall()
        return [str(body) for _, body in rows]

    def last_evaluation(self, model: str) -> Verdict | None:
        """The evaluation with the last window end."""
        found = self._verdicts(
            f"AND model = ? AND {_SCHEDULED} ORDER BY window_end DESC, number DESC", (model,), 1
        )
        return found[0] if found else None

    def last_of_generation(self, model: str, generation: int) -> Verdict | None:
        """The evaluation of that generation with the last window end."""
        found = self._verdicts(
            f"AND model = ? AND generation = ? AND {_SCHEDULED} ORDER BY window_end DESC, number DESC",
            (model, generation),
            1,
        )
        return found[0] if found else None

    def stream_verdicts(self, model: str, generation: int, after: datetime) -> list[Verdict]:
        """The stream verdicts of a generation whose alarm came after that event time, newest first; at most a hundred."""
        return self._verdicts(
            "AND model = ? AND generation = ? AND detector = 'stream' AND window_end > ? ORDER BY window_end DESC",
            (model, generation, to_micros(after)),
            100,
        )

    def evaluation_before(self, verdict: Verdict, states: Sequence[State]) -> Verdict | None:
        """The last evaluation of the model stored before `verdict` with one of `states`."""
        wanted = ", ".join("?" * len(states))
        found = self._verdicts(
            f"AND model = ? AND {_SCHEDULED} AND number < (SELECT number FROM verdicts WHERE verdict_id = ?)"
            f" AND json_extract(body, '$.state') IN ({wanted}) ORDER BY number DESC",
            (verdict.model, verdict.verdict_id, *states),
            1,
        )
        return found[0] if found else None

    def unpublished(self, limit: int) -> list[Verdict]:
        """Verdicts not marked as published, in the order they were reached."""
        return self._verdicts("AND published = ? ORDER BY number", (_WAITING,), limit)

    def count_unpublished(self) -> int:
        """Number of verdicts to publish."""
        with self._cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM verdicts WHERE published = ?", (_WAITING,))
            return int(cursor.fetchone()[0])

    def mark_published(self, verdict_id: str) -> None:
        """Mark it as published."""
        self._mark(verdict_id, _PUBLISHED)

    def mark_refused(self, verdict_id: str) -> None:
        """Mark it as refused by the broker: it stays readable here and is not sent again."""
        self._mark(verdict_id, _REFUSED)

    def put_generation(self, model: str, seen: Generation) -> None:
        """Store a generation's first row unless one is stored: rows that arrive late do not move its windows."""
        with self._cursor() as cursor:
            cursor.execute(
                "INSERT OR IGNORE INTO generations VALUES (?, ?, ?, ?, ?)",
                (
                    model,
                    seen.generation,
                    seen.version,
                    to_micros(seen.first),
                    to_micros(seen.evaluated_until),
                ),
            )

    def advance(self, model: str, generation: int, evaluated_until: datetime) -> None:
        """Store where the generation's next window starts; it never moves back."""
        with self._cursor() as cursor:
            cursor.execute(
                "UPDATE generations SET evaluated_until = MAX(evaluated_until, ?) WHERE model = ? AND generation = ?",
                (to_micros(evaluated_until), model, generation),
            )

    def generations(self, model: str) -> list[Generation]:
        """Generations seen, oldest first."""
        with self._cursor() as cursor:
            rows = cursor.execute(
                "SELECT generation, version, first, evaluated_until FROM generations WHERE model = ? ORDER BY generation",
                (model,),
            ).fetchall()
        return [
            Generation(int(number), str(version), from_micros(int(first)), from_micros(int(until)))
            for number, version, first, until in rows
        ]

    def _verdicts(self, rest: str, values: tuple[object, ...], limit: int) -> list[Verdict]:
        """The first `limit` readable verdicts; unreadable ones are marked, so that later queries skip them."""
        while True:
            with self._cursor() as cursor:
                rows = cursor.execute(f"{_SELECT} {rest} LIMIT ?", (*values, limit)).fetchall()
            found: list[Verdict] = []
            for verdict_id, body in rows:
                try:
                    found.append(Verdict.model_validate_json(body))
                except ValidationError as error:
                    wrong = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
                    _log.error("verdict_unreadable", cause_id=verdict_id, error="; ".join(wrong[:3]))
                    self._mark(verdict_id, _UNREADABLE)
            if len(found) == len(rows):
                return found

    def _mark(self, verdict_id: str, published: int) -> None:
        with self._cursor() as cursor:
            cursor.execute("UPDATE verdicts SET published = ? WHERE verdict_id = ?", (published, verdict_id))

    @contextmanager
    def _cursor(self) -> Iterator[sqlite3.Cursor]:
        with self._lock:
            try:
                yield self._connection.cursor()
            except sqlite3.Error as error:
                raise OperatorError(
                    f"the verdict store {self._path} cannot be used: {error}",
                    hint="free disk space or fix the file's permissions",
                ) from error
