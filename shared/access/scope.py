"""What a caller may do, and the roles that people have."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from shared.errors import InvalidRequest


class Scope(StrEnum):
    """One permission. A route needs exactly one of them (shared/access/route_table.py)."""

    PREDICT = (
        "predict"  # request predictions; submit, read and cancel tasks, read what models take and return
    )
    OUTCOMES = "outcomes"  # post outcomes
    READ = "read"  # status, metrics, verdicts, reports, runs, lineage, what another policy would have decided
    OPERATE = "operate"  # submit triggers, evaluate a window, acknowledge
    APPROVE = "approve"  # approve or reject a run
    ADMIN = "admin"  # deploy and roll back


# What a service on a loopback address may leave open. The others act: they always need credentials.
ANONYMOUS_SCOPES: Final = frozenset({Scope.PREDICT, Scope.OUTCOMES, Scope.READ})

ROLES: Final[dict[str, frozenset[Scope]]] = {
    "viewer": frozenset({Scope.READ}),
    "operator": frozenset({Scope.READ, Scope.OPERATE}),
    "approver": frozenset({Scope.READ, Scope.APPROVE}),
    "client": frozenset({Scope.PREDICT, Scope.OUTCOMES}),
    "admin": frozenset(Scope),
}


def parse_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """The scopes that names of scopes and roles stand for. Raises InvalidRequest for another name, or for none."""
    found: set[Scope] = set()
    for name in names:
        if name in ROLES:
            found |= ROLES[name]
        elif name in set(Scope):
            found.add(Scope(name))
        else:
            raise InvalidRequest(
                f"{name[:40]!r} is neither a scope nor a role",
                field="scopes",
                hint=f"give --scope once for each of {', '.join(Scope)}, or a role: {', '.join(ROLES)}",
                expected=f"scopes ({', '.join(Scope)}) or roles ({', '.join(ROLES)})",
            )
    if not found:
        raise InvalidRequest(
            "no scope is given", field="scopes", expected=f"at least one of {', '.join(Scope)}"
        )
    return frozenset(found)
