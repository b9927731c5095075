"""Determines which release a rollback restores. Pure."""

from __future__ import annotations

from shared.contracts.manifest import short
from shared.contracts.release import Release, live
from shared.errors import Conflict, NotFound


def rollback_target(log: list[Release], to_generation: int | None) -> Release:
    """The live release whose version a rollback restores. Raises NotFound, Conflict.

    Deployments and promotions push onto a stack, a rollback pops: two rollbacks in a row go back two steps. A canary or shadow
    is on no stack: its version was never live.
    """
    served = live(log)
    if served is None:
        raise NotFound("nothing was released yet, so there is nothing to roll back")
    if to_generation is not None:
        if not 1 <= to_generation <= len(log):
            raise NotFound(f"there is no generation {to_generation}; the log goes from 1 to {len(log)}")
        target = log[to_generation - 1]
        if target.slot != "live":
            raise Conflict(
                f"generation {to_generation} was a {target.slot}, not live", hint="name a live generation"
            )
        if target.version == served.version:
            raise Conflict(
                f"generation {to_generation} is version {short(target.version)}, which is served already"
            )
        return target
    stack: list[Release] = []
    for entry in log:
        if entry.slot != "live":
            continue
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
