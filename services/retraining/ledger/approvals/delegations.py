"""Delegations in the ledger: a person lets another one approve and reject runs in their place, for a time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, RowMapping, select, update

from services.retraining.ledger.approvals.delegation_table import delegation
from services.retraining.ledger.engine import reading, writing
from shared.access.caller import ANONYMOUS, NotPermitted, authenticated_name, is_actor_name
from shared.errors import InvalidRequest, NotFound

LONGEST: Final = timedelta(days=90)
_NUMBERS: Final = 1 << 31
_SHOWN = 100


@dataclass(frozen=True)
class Delegation:
    """`delegator` is recorded as for an action, `delegate` is an authenticated name. `model` is empty for all models."""

    id: int
    delegator: str
    delegate: str
    model: str
    note: str
    created_at: datetime
    ends_at: datetime
    revoked_at: datetime | None = None
    revoked_by: str = ""

    @classmethod
    def of_row(cls, row: RowMapping) -> Delegation:
        """From a row of the table."""
        return cls(**{str(name): value for name, value in row.items()})

    def is_active(self, now: datetime) -> bool:
        """Whether it holds now."""
        return self.revoked_at is None and now < self.ends_at

    def covers(self, model: str) -> bool:
        """Whether it is about the runs of a model."""
        return self.model in ("", model)

    def to_json(self, now: datetime) -> dict[str, Any]:
        """For HTTP."""
        return {**asdict(self), "active": self.is_active(now)}


class Delegations:
    """Reads and writes them in the ledger behind `engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(
        self, delegator: str, delegate: str, *, model: str, note: str, now: datetime, ends_at: datetime
    ) -> Delegation:
        """Record one. Raises InvalidRequest for an impossible name, the delegator's own, or an end not within 90 days."""
        if not is_actor_name(delegate) or delegate == ANONYMOUS.name:
            raise InvalidRequest(
                "delegate is not the name of a person or program",
                field="delegate",
                expected="the name of an API key, or the name that a token has",
            )
        if delegate == authenticated_name(delegator):
            raise InvalidRequest(
                f"{delegate} cannot delegate to itself", field="delegate", expected="another name"
            )
        if not now < ends_at <= now + LONGEST:
            raise InvalidRequest(
                f"until {ends_at:%Y-%m-%d %H:%M} is not a time within {LONGEST.days} days from now",
                field="until",
                expected=f"a time between now and {LONGEST.days} days from now",
            )
        values = {
            "delegator": delegator,
            "delegate": delegate,
            "model": model,
            "note": note,
            "created_at": now,
            "ends_at": ends_at,
            "revoked_by": "",
        }
        with writing(self._engine) as connection:
            made = connection.execute(delegation.insert().values(**values).returning(delegation.c.id))
            return _of(connection, int(made.scalar_one()))

    def revoke(self, number: int, actor: str, *, now: datetime, may_be_others: bool) -> Delegation:
        """End one; the first revocation counts. `may_be_others`: also one that somebody else gave.

        Raises NotFound, NotPermitted.
        """
        with writing(self._engine) as connection:
            found = _of(connection, number)
            if not may_be_others and authenticated_name(found.delegator) != authenticated_name(actor):
                raise NotPermitted(
                    f"delegation {number} was given by {found.delegator}",
                    hint="only its creator or somebody with the scope admin can revoke it",
                )
            if found.is_active(now):
                ending = update(delegation).where(delegation.c.id == number)
                connection.execute(ending.values(revoked_at=now, revoked_by=actor))
            return _of(connection, number)

    def newest(self, limit: int = _SHOWN) -> list[Delegation]:
        """The newest ones, newest first, also those that have ended."""
        query = select(delegation).order_by(delegation.c.id.desc()).limit(limit)
        with reading(self._engine) as connection:
            return [Delegation.of_row(row) for row in connection.execute(query).mappings()]

    def active(self, now: datetime) -> list[Delegation]:
        """Those that hold now, oldest first."""
        with reading(self._engine) as connection:
            return _active(connection, now)

    def is_delegate(self, name: str, now: datetime) -> bool:
        """Whether somebody lets `name` approve now, any model's runs."""
        return any(one.delegate == name for one in self.active(now))


def active_of(connection: Connection, name: str, now: datetime) -> list[Delegation]:
    """Those to a name that hold now, oldest first."""
    return [one for one in _active(connection, now) if one.delegate == name]


def _active(connection: Connection, now: datetime) -> list[Delegation]:
    query = (
        select(delegation)
        .where(delegation.c.ends_at > now, delegation.c.revoked_at.is_(None))
        .order_by(delegation.c.id)
    )
    return [Delegation.of_row(row) for row in connection.execute(query).mappings()]


def _of(connection: Connection, number: int) -> Delegation:
    # No database has a larger number, and SQLite's driver refuses to ask for one.
    row = None
    if abs(number) < _NUMBERS:
        row = connection.execute(select(delegation).where(delegation.c.id == number)).mappings().first()
    if row is None:
        raise NotFound(f"there is no delegation {number}", hint="GET /delegations lists them")
    return Delegation.of_row(row)
