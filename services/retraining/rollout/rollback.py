"""Determines which release a rollback restores. Pure."""

from __future__ import annotations

from shared.contracts.manifest import short
from shared.contracts.release import Release
from shared.errors import Conflict, NotFound


def rollback_target(log: list[Release], to_generation: int | None) -> Release:
    """The release whose version a rollback restores. Raises NotFound, Conflict.

    Deployments and promotions push onto a stack, a rollback pops: two rollbacks in a row go back two steps.
    """
    if not log:
        raise NotFound("nothing was released yet, so there is nothing to roll back")
    served = log[-1]
    if to_generation is not None:
        if not 1 <= to_generation <= len(log):
            raise NotFound(f"there is no generation {to_generation}; the log goes from 1 to {len(log)}")
        target = log[to_generation - 1]
        if target.version == served.version:
            raise Conflict(
                f"generation {to_generation} is version {short(target.version)}, which is served already"
            )
        return target
    stack: list[Release] = []
    for entry in log:
        versions = [below.version for below in stack]
        if entry.reason == "rollback" and entry.version in versions:
            del stack[len(versions) - versions[::-1].index(entry.version) :]
        elif not stack or stack[-1].version != entry.version:
            stack.append(entry)
    if len(stack) < 2:
        raise Conflict(
            f"nothing was served before version {short(served.version)}",
            hint="name a generation, or deploy another version",
        )
    return stack[-2]


def default_rollback_generation(log: list[Release]) -> int | None:
    """The generation that a rollback without a target restores; None if there is none."""
    try:
        return rollback_target(log, None).generation
    except (NotFound, Conflict):
        return None
