"""Verdicts and positions in the windows of generations, stored in SQLite before they are published.

A verdict is stored under its id unless that exists: a window evaluated twice keeps its first verdict. Only `revise` replaces one,
by a higher revision. What is not yet marked as published is published again after a restart, with the same id. A row that cannot
be read counts as absent: it is logged once and delays no other, and the same window evaluated again replaces it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Lock

from pydantic import ValidationError

from services.drift.verdicts.file import open_file
from services.drift.verdicts.positions import Generation, OutcomesRead
from shared.contracts.event_time import from_micros, to_micros
from shared.contracts.verdict import Clock, Detector, State, Verdict
from shared.errors import NotFound, OperatorError
from shared.observability.logs import get_logger

_log = get_logger(__name__)

# What the column `published` says.
_WAITING, _PUBLISHED, _UNREADABLE, _REFUSED = 0, 1, -1, -2

_NEXT_NUMBER = "(SELECT COALESCE(MAX(number), 0) + 1 FROM verdicts)"
_SELECT = f"SELECT verdict_id, body FROM verdicts WHERE published != {_UNREADABLE}"


class VerdictStore:
    """The one writer of `path`, unless it is `shared`. Raises OperatorError where the file cannot be opened or written."""

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self._path = path
        self._lock = Lock()
        self._connection = open_file(path, shared=shared)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def put(self, verdict: Verdict, outcomes: OutcomesRead | None = None) -> bool:
        """Store a verdict; False if its id was stored before. Replaces an unreadable row. Durable when this returns.

        `outcomes`: what was read, where later outcomes may change the verdict.
        """
        with self._cursor() as cursor:
            return self.insert(cursor, verdict, outcomes)

    def insert(self, cursor: sqlite3.Cursor, verdict: Verdict, outcomes: OutcomesRead | None = None) -> bool:
        """The same, as a part of a transaction."""
        cursor.execute(
            "INSERT INTO verdicts (verdict_id, model, generation, detector, window_end, body, revision, outcomes_version,"
            f" open_until, number) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, {_NEXT_NUMBER})"
            " ON CONFLICT (verdict_id) DO UPDATE SET generation = excluded.generation, body = excluded.body,"
            " revision = excluded.revision, outcomes_version = excluded.outcomes_version, open_until = excluded.open_until,"
            f" published = {_WAITING}, number = excluded.number WHERE published = {_UNREADABLE}",
            (
                verdict.verdict_id,
                verdict.model,
                verdict.generation,
                verdict.detector,
                to_micros(verdict.window_end),
                verdict.model_dump_json(),
                verdict.revision,
                None if outcomes is None else outcomes.version,
                None if outcomes is None else to_micros(outcomes.open_until),
            ),
        )
        return cursor.rowcount == 1

    def revise(self, verdict: Verdict, outcomes_version: int) -> bool:
        """Replace the stored revision by this higher one, to be published; False if it is not higher. Durable as in `put`."""
        with self._cursor() as cursor:
            cursor.execute(
                f"UPDATE verdicts SET body = ?, revision = ?, outcomes_version = ?, published = {_WAITING},"
                f" number = {_NEXT_NUMBER} WHERE verdict_id = ? AND revision < ?",
                (
                    verdict.model_dump_json(),
                    verdict.revision,
                    outcomes_version,
                    verdict.verdict_id,
                    verdict.revision,
                ),
            )
            return cursor.rowcount == 1

    def open_verdicts(self, model: str) -> list[tuple[Verdict, OutcomesRead]]:
        """Verdicts that later outcomes may change, by window end."""
        with self._cursor() as cursor:
            rows = cursor.execute(
                "SELECT verdict_id, outcomes_version, open_until FROM verdicts"
                " WHERE model = ? AND outcomes_version IS NOT NULL",
                (model,),
            ).fetchall()
        known = {str(key): OutcomesRead(int(version), from_micros(int(time))) for key, version, time in rows}
        found = self._verdicts(
            "AND model = ? AND outcomes_version IS NOT NULL ORDER BY window_end", (model,), len(known)
        )
        return [(verdict, known[verdict.verdict_id]) for verdict in found if verdict.verdict_id in known]

    def set_outcomes_version(self, verdict_id: str, outcomes_version: int | None) -> None:
        """Store that outcomes up to this version of the table do not change the verdict; None: later ones are not regarded."""
        with self._cursor() as cursor:
            cursor.execute(
                "UPDATE verdicts SET outcomes_version = ? WHERE verdict_id = ?",
                (outcomes_version, verdict_id),
            )

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

    def last_of(self, model: str, detector: Detector, generation: int | None = None) -> Verdict | None:
        """The detector's verdict with the last window end, of all generations or of one."""
        found = self._verdicts(
            "AND model = ? AND detector = ? AND generation = COALESCE(?, generation) ORDER BY window_end DESC, number DESC",
            (model, detector, generation),
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

    def windows(
        self, model: str, generation: int, after: datetime, limit: int, detector: Clock = "inputs"
    ) -> list[Verdict]:
        """A clock's first verdicts of a generation with a window end later than `after`, by window end."""
        return self._verdicts(
            "AND model = ? AND generation = ? AND detector = ? AND window_end > ? ORDER BY window_end",
            (model, generation, detector, to_micros(after)),
            limit,
        )

    def last_before(self, verdict: Verdict, states: Sequence[State]) -> Verdict | None:
        """The last verdict of the same detector and model stored before `verdict` with one of `states`."""
        wanted = ", ".join("?" * len(states))
        found = self._verdicts(
            "AND model = ? AND detector = ? AND number < (SELECT number FROM verdicts WHERE verdict_id = ?)"
            f" AND json_extract(body, '$.state') IN ({wanted}) ORDER BY number DESC",
            (verdict.model, verdict.detector, verdict.verdict_id, *states),
            1,
        )
        return found[0] if found else None

    def unpublished(self, limit: int, others: Collection[str] = ()) -> list[Verdict]:
        """Verdicts not marked as published, in the order they were reached, without those about `others`."""
        models = ", ".join("?" * len(others))
        return self._verdicts(
            f"AND published = ? AND model NOT IN ({models}) ORDER BY number", (_WAITING, *others), limit
        )

    def models(self) -> list[str]:
        """Models whose rows were seen."""
        with self._cursor() as cursor:
            return [str(model) for (model,) in cursor.execute("SELECT DISTINCT model FROM generations")]

    def count_unpublished(self) -> int:
        """Number of verdicts to publish."""
        with self._cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM verdicts WHERE published = ?", (_WAITING,))
            return int(cursor.fetchone()[0])

    def mark_published(self, verdict: Verdict) -> None:
        """Mark this revision as published; a higher one that was stored meanwhile is still to be sent."""
        self._mark(verdict.verdict_id, _PUBLISHED, verdict.revision)

    def mark_refused(self, verdict: Verdict) -> None:
        """Mark it as refused by the broker: it stays readable here and is not sent again."""
        self._mark(verdict.verdict_id, _REFUSED, verdict.revision)

    def put_generation(self, model: str, seen: Generation) -> None:
        """Store a generation's first row unless one is stored: rows that arrive late do not move its windows."""
        with self._cursor() as cursor:
            cursor.execute(
                "INSERT OR IGNORE INTO generations (model, generation, version, first, inputs_until, performance_until)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    model,
                    seen.generation,
                    seen.version,
                    to_micros(seen.first),
                    to_micros(seen.inputs_until),
                    to_micros(seen.performance_until),
                ),
            )

    def advance(self, model: str, generation: int, detector: Clock, until: datetime) -> None:
        """Store the detector's position in the generation's windows; it never moves back."""
        with self._cursor() as cursor:
            cursor.execute(
                f"UPDATE generations SET {detector}_until = MAX({detector}_until, ?) WHERE model = ? AND generation = ?",
                (to_micros(until), model, generation),
            )

    def go_back(self, model: str, generation: int, first: datetime, watermark: datetime) -> None:
        """Set a generation's positions back to its last verdict on inputs up to a corrected watermark, or to its `first` row."""
        with self._cursor() as cursor:
            cursor.execute(
                "UPDATE generations SET first = ?1, performance_until = MIN(performance_until, ?2), inputs_until = MAX(?1,"
                " COALESCE((SELECT MAX(window_end) FROM verdicts WHERE model = ?3 AND generation = ?4 AND detector = 'inputs'"
                " AND window_end <= ?2), ?1)) WHERE model = ?3 AND generation = ?4",
                (to_micros(first), to_micros(watermark), model, generation),
            )
            # As after a migration the evidence is empty: windows that were counted would give other verdicts about the past.
            cursor.execute(
                "WITH position AS (SELECT performance_until FROM generations WHERE model = ?1 AND generation = ?2)"
                " UPDATE error_detectors SET until = (SELECT * FROM position), state = '{}'"
                " WHERE model = ?1 AND generation = ?2 AND until > (SELECT * FROM position)",
                (model, generation),
            )

    def generations(self, model: str) -> list[Generation]:
        """Generations seen, oldest first."""
        with self._cursor() as cursor:
            rows = cursor.execute(
                "SELECT generation, version, first, inputs_until, performance_until FROM generations WHERE model = ?"
                " ORDER BY generation",
                (model,),
            ).fetchall()
        return [
            Generation(int(number), str(version), *(from_micros(int(time)) for time in times))
            for number, version, *times in rows
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

    def _mark(self, verdict_id: str, published: int, revision: int | None = None) -> None:
        with self._cursor() as cursor:
            cursor.execute(
                "UPDATE verdicts SET published = ? WHERE verdict_id = ? AND revision = COALESCE(?, revision)",
                (published, verdict_id, revision),
            )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Cursor]:
        """What is written with this cursor is stored together, durably, or not at all."""
        with self._cursor() as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")

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
