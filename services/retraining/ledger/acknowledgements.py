"""Which decisions wait for a person to have seen them, and who has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, or_, select

from services.retraining.ledger.statements import plain
from services.retraining.ledger.tables import acknowledgement, budget_entry, cause, decision, run
from services.retraining.policy.attention import FOLLOWING, EarlierRun, Issue, issue_of
from shared.errors import Conflict

# What `issues_of` looks at. A query that selects it joins decision and cause, and run where there is one.
ISSUE_COLUMNS = (
    decision.c.id,
    decision.c.cause_key,
    decision.c.model,
    decision.c.reason_code,
    cause.c.state.label("cause_state"),
    func.coalesce(run.c.state, "").label("run_state"),
)
ACKNOWLEDGEMENT_COLUMNS = (
    acknowledgement.c.actor.label("acknowledged_by"),
    acknowledgement.c.note.label("acknowledged_note"),
    acknowledgement.c.acknowledged_at,
)
# Everything that can issue a person, and more: the rule itself is `issue_of`.
_MAY_HAVE_ISSUE = or_(cause.c.state.in_(("drift", "data_fault")), run.c.state.in_(("failed", "refused")))


@dataclass(frozen=True)
class UnacknowledgedDecision:
    """A decision that concerns a person and that nobody has acknowledged."""

    order: int
    cause_key: str
    model: str
    issue: Issue
    event_time: datetime
    decided_at: datetime


@dataclass(frozen=True)
class BulkAcknowledgement:
    """Which decisions before one are acknowledged with it: those of one issue, or of every one.

    `expected` is how many the person was shown; None where nobody counted. More have come to need a look since where a run
    that they waited for has ended: what was not shown was not seen.
    """

    issue: Issue | None = None
    expected: int | None = None

    def select_keys(self, waiting: Sequence[UnacknowledgedDecision]) -> tuple[str, ...]:
        """The keys of theirs. Raises Conflict where there are more than were expected."""
        keys = tuple(one.cause_key for one in waiting if self.issue in (None, one.issue))
        if self.expected is not None and len(keys) > self.expected:
            raise Conflict(
                f"nothing was acknowledged: {self.expected} older decisions were expected, but {len(keys)} wait",
                hint="look at them again, then acknowledge",
            )
        return keys


def issues_of(connection: Connection, rows: Sequence[RowMapping | Mapping[str, Any]]) -> list[Issue | None]:
    """What concerns a person about each row of ISSUE_COLUMNS."""
    following = [row["cause_state"] == "drift" and row["reason_code"] in FOLLOWING for row in rows]
    runs = _runs_of(
        connection, {row["model"] for row, follows in zip(rows, following, strict=True) if follows}
    )
    return [
        issue_of(
            row["cause_state"],
            row["reason_code"],
            row["run_state"],
            [run for order, run in runs.get(row["model"], ()) if order < row["id"]] if follows else (),
        )
        for row, follows in zip(rows, following, strict=True)
    ]


def unacknowledged_decisions(
    connection: Connection, model: str = "", before: int | None = None
) -> list[UnacknowledgedDecision]:
    """Every decision that needs an acknowledgement and has none, newest first; only those made before `before`, where given."""
    query = (
        select(*ISSUE_COLUMNS, decision.c.event_time, decision.c.decided_at)
        .join(cause, cause.c.key == decision.c.cause_key)
        .outerjoin(run, run.c.cause_key == decision.c.cause_key)
        .outerjoin(acknowledgement, acknowledgement.c.cause_key == decision.c.cause_key)
        .where(_MAY_HAVE_ISSUE, acknowledgement.c.cause_key.is_(None))
        .order_by(decision.c.id.desc())
    )
    if model:
        query = query.where(decision.c.model == model)
    if before is not None:
        query = query.where(decision.c.id < before)
    rows = connection.execute(query).mappings().all()
    return [
        UnacknowledgedDecision(
            row["id"], row["cause_key"], row["model"], issue, row["event_time"], row["decided_at"]
        )
        for row, issue in zip(rows, issues_of(connection, rows), strict=True)
        if issue is not None
    ]


def unacknowledged_groups(connection: Connection, model: str = "") -> list[dict[str, Any]]:
    """What is unseen, by model and issue, the group with the newest decision first; each with its newest one's words."""
    groups: dict[tuple[str, Issue], list[UnacknowledgedDecision]] = {}
    for one in unacknowledged_decisions(connection, model):
        groups.setdefault((one.model, one.issue), []).append(one)
    words = _words(connection, [group[0].cause_key for group in groups.values()])
    return [
        {
            "model": group[0].model,
            "issue": group[0].issue,
            "count": len(group),
            "since": min(one.event_time for one in group),
            "newest_key": group[0].cause_key,
            "newest_at": group[0].decided_at,
            "reason": words[group[0].cause_key],
        }
        for group in groups.values()
    ]


def with_acknowledgement(row: RowMapping) -> dict[str, Any]:
    """The row, with ACKNOWLEDGEMENT_COLUMNS's columns as one entry `acknowledged`; None where nobody has."""
    told = plain(row)
    actor, note, moment = (
        told.pop(name) for name in ("acknowledged_by", "acknowledged_note", "acknowledged_at")
    )
    return {**told, "acknowledged": None if actor is None else {"actor": actor, "note": note, "at": moment}}


def _runs_of(connection: Connection, models: Iterable[str]) -> dict[str, list[tuple[int, EarlierRun]]]:
    """The runs of models, oldest first, each with the id of the decision that began it."""
    query = (
        select(
            decision.c.id, decision.c.action, run.c.model, run.c.state, run.c.event_time, budget_entry.c.state
        )
        .join(decision, decision.c.cause_key == run.c.cause_key)
        .outerjoin(budget_entry, budget_entry.c.run_id == run.c.run_id)
        .where(run.c.model.in_(sorted(models)))
        .order_by(decision.c.id)
    )
    found: dict[str, list[tuple[int, EarlierRun]]] = {}
    for order, verb, model, state, event_time, charge in connection.execute(query) if models else ():
        begun = EarlierRun(state, event_time, verb == "suggest", charge in ("reserved", "spent"))
        found.setdefault(model, []).append((order, begun))
    return found


def _words(connection: Connection, keys: Sequence[str]) -> dict[str, str]:
    """What to say about causes: how the run ended where that is the matter, else the reason drift gave."""
    query = (
        select(cause.c.key, cause.c.reason, run.c.state, run.c.reason)
        .outerjoin(run, run.c.cause_key == cause.c.key)
        .where(cause.c.key.in_(keys))
    )
    return {
        key: message if state in ("failed", "refused") and message else reason
        for key, reason, state, message in connection.execute(query)
    }
