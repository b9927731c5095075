"""Decisions that a person must acknowledge, and the acknowledgements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, case, exists, func, or_, select

from services.retraining.ledger.statements import plain
from services.retraining.ledger.tables import acknowledgement, budget_entry, cause, decision, run, watch
from services.retraining.policy.attention import FOLLOWING, TAKEN_BACK, EarlierRun, Issue, issue_of
from services.retraining.run_states import OPEN, SERVICE_DIED
from shared.errors import Conflict

_of_inputs = cause.alias("of_inputs")
# A verdict on performance is data_fault because the verdict on the inputs of the same window is, which has the issue; or because
# outcomes contradict each other, which is an issue of its own.
REPEATS_INPUTS = (
    (cause.c.state == "data_fault")
    & (func.coalesce(cause.c.verdict["detector"].as_string(), "") == "performance")
    & exists().where(
        _of_inputs.c.model == cause.c.model,
        _of_inputs.c.window_end == cause.c.window_end,
        _of_inputs.c.state == "data_fault",
        _of_inputs.c.verdict["detector"].as_string() == "inputs",
    )
)
# The state of a run whose version the loop took back: it has replaced nothing.
_TAKEN_BACK = exists().where(watch.c.run_id == run.c.run_id, watch.c.state == "rolled_back")
RUN_STATE = case((_TAKEN_BACK, TAKEN_BACK), else_=func.coalesce(run.c.state, ""))
# Columns that `issues_of` needs. A query that selects them joins decision and cause, and outer-joins run.
ISSUE_COLUMNS = (
    decision.c.id,
    decision.c.cause_key,
    decision.c.model,
    decision.c.reason_code,
    cause.c.state.label("cause_state"),
    REPEATS_INPUTS.label("repeats_inputs"),
    RUN_STATE.label("run_state"),
    func.coalesce(run.c.reason_code, "").label("run_code"),
)
ACKNOWLEDGEMENT_COLUMNS = (
    acknowledgement.c.actor.label("acknowledged_by"),
    acknowledgement.c.note.label("acknowledged_note"),
    acknowledgement.c.acknowledged_at,
)
# A superset of the decisions with an issue; `issue_of` has the rule.
_MAY_HAVE_ISSUE = or_(
    cause.c.state.in_(("drift", "data_fault")),
    run.c.state.in_(("failed", "refused")),
    run.c.reason_code == SERVICE_DIED,
)


@dataclass(frozen=True)
class UnacknowledgedDecision:
    """A decision with an issue and without an acknowledgement."""

    order: int
    cause_key: str
    model: str
    issue: Issue
    event_time: datetime
    decided_at: datetime


@dataclass(frozen=True)
class BulkAcknowledgement:
    """Which earlier decisions are acknowledged together with one: those with `issue`, or all if it is None.

    `expected` is the number shown to the person; None if unknown. More decisions may have an issue since then, because the run
    that they waited for has ended: a decision that was not shown is not acknowledged.
    """

    issue: Issue | None = None
    expected: int | None = None

    def select_keys(self, waiting: Sequence[UnacknowledgedDecision]) -> tuple[str, ...]:
        """Cause keys of the selected decisions. Raises Conflict if there are more than `expected`."""
        keys = tuple(one.cause_key for one in waiting if self.issue in (None, one.issue))
        if self.expected is not None and len(keys) > self.expected:
            raise Conflict(
                f"nothing was acknowledged: {self.expected} older decisions were expected, but there are {len(keys)}",
                hint="list the decisions again, then acknowledge",
            )
        return keys


def issues_of(connection: Connection, rows: Sequence[RowMapping | Mapping[str, Any]]) -> list[Issue | None]:
    """The issue of each row of ISSUE_COLUMNS; None if it has none."""
    following = [row["cause_state"] == "drift" and row["reason_code"] in FOLLOWING for row in rows]
    runs = _runs_of(
        connection, {row["model"] for row, follows in zip(rows, following, strict=True) if follows}
    )
    return [
        issue_of(
            "" if row["repeats_inputs"] else row["cause_state"],
            row["reason_code"],
            row["run_state"],
            [run for order, run in runs.get(row["model"], ()) if order < row["id"]] if follows else (),
            row["run_code"],
        )
        for row, follows in zip(rows, following, strict=True)
    ]


def unacknowledged_decisions(
    connection: Connection, model: str = "", before: int | None = None
) -> list[UnacknowledgedDecision]:
    """Decisions with an issue and no acknowledgement, newest first; with `before`, only those with a smaller id."""
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


def open_causes(connection: Connection) -> list[str]:
    """Causes that a person has still to decide on: unacknowledged ones with an issue, and those of runs that have not ended."""
    runs = connection.execute(select(run.c.cause_key).where(run.c.state.in_(OPEN))).scalars()
    return sorted({*runs, *(one.cause_key for one in unacknowledged_decisions(connection))})


def unacknowledged_groups(connection: Connection, model: str = "") -> list[dict[str, Any]]:
    """Unacknowledged decisions grouped by model and issue, newest group first; each with the reason of its newest decision."""
    groups: dict[tuple[str, Issue], list[UnacknowledgedDecision]] = {}
    for one in unacknowledged_decisions(connection, model):
        groups.setdefault((one.model, one.issue), []).append(one)
    reasons = _reasons(connection, [group[0].cause_key for group in groups.values()])
    return [
        {
            "model": group[0].model,
            "issue": group[0].issue,
            "count": len(group),
            "since": min(one.event_time for one in group),
            "newest_key": group[0].cause_key,
            "newest_at": group[0].decided_at,
            "reason": reasons[group[0].cause_key],
        }
        for group in groups.values()
    ]


def with_acknowledgement(row: RowMapping) -> dict[str, Any]:
    """The row, with ACKNOWLEDGEMENT_COLUMNS combined into `acknowledged`; None if nobody acknowledged it."""
    values = plain(row)
    actor, note, at = (
        values.pop(name) for name in ("acknowledged_by", "acknowledged_note", "acknowledged_at")
    )
    return {**values, "acknowledged": None if actor is None else {"actor": actor, "note": note, "at": at}}


def _runs_of(connection: Connection, models: Iterable[str]) -> dict[str, list[tuple[int, EarlierRun]]]:
    """The runs of models, oldest first, each with the id of the decision that created it."""
    query = (
        select(
            decision.c.id, decision.c.action, run.c.model, RUN_STATE, run.c.event_time, budget_entry.c.state
        )
        .join(decision, decision.c.cause_key == run.c.cause_key)
        .outerjoin(budget_entry, budget_entry.c.run_id == run.c.run_id)
        .where(run.c.model.in_(sorted(models)))
        .order_by(decision.c.id)
    )
    found: dict[str, list[tuple[int, EarlierRun]]] = {}
    for order, action, model, state, event_time, charge in connection.execute(query) if models else ():
        earlier = EarlierRun(state, event_time, action == "suggest", charge in ("reserved", "spent"))
        found.setdefault(model, []).append((order, earlier))
    return found


def _reasons(connection: Connection, keys: Sequence[str]) -> dict[str, str]:
    """A reason per cause: the run's if it failed, was refused or ended the service, else the cause's own."""
    query = (
        select(cause.c.key, cause.c.reason, run.c.state, run.c.reason_code, run.c.reason)
        .outerjoin(run, run.c.cause_key == cause.c.key)
        .where(cause.c.key.in_(keys))
    )
    return {
        key: run_reason
        if run_reason and (state in ("failed", "refused") or code == SERVICE_DIED)
        else cause_reason
        for key, cause_reason, state, code, run_reason in connection.execute(query)
    }
