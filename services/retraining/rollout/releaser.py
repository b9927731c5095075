"""Appending to the release log: deployments, promotions, rollbacks. Each is compare-and-swap on the generation."""

from __future__ import annotations

from datetime import datetime

from shared.contracts.manifest import short
from shared.contracts.release import Release
from shared.errors import Conflict, NotFound
from shared.stores.model_store import ModelStore

_TRIES = 5


def promote(
    store: ModelStore,
    model: str,
    *,
    version: str,
    champion: str,
    actor: str,
    run_id: str,
    cause_key: str,
    note: str,
    now: datetime,
) -> tuple[Release, bool]:
    """Find or create the one release of a run, and say whether it was created.

    Raises Conflict where the champion it was judged against is no longer served.

    1. a release with this run's id is in the log: that is it   2. the version served must be the one that was beaten
    3. put under the next number if nobody else has; otherwise look again
    """
    for _ in range(_TRIES):
        log = store.releases(model)
        for done in reversed(log):
            if done.run_id == run_id:
                return done, False
        served = log[-1].version if log else ""
        if served != champion:
            raise Conflict(
                f"the challenger was judged against {short(champion) or 'nothing'}, "
                f"but {short(served) or 'nothing'} is served now",
                hint="let the loop train again",
            )
        entry = Release(
            model=model,
            generation=len(log) + 1,
            version=version,
            previous=served,
            reason="promotion",
            actor=actor,
            run_id=run_id,
            cause_key=cause_key,
            note=note,
            released_at=now,
        )
        try:
            store.add_release(entry)
        except Conflict:
            continue
        return entry, True
    raise Conflict(f"the release log of {model} keeps changing", hint="try again")


def append(
    store: ModelStore,
    model: str,
    *,
    version: str,
    reason: str,
    actor: str,
    note: str,
    now: datetime,
    after: int | None = None,
) -> Release:
    """Release a version by a person's wish. Raises Conflict where somebody else released at the same moment.

    `after`: the generation the wish was made at; Conflict where another one is the newest.
    """
    log = store.releases(model)
    check_generation(log, after)
    entry = Release.model_validate(
        {
            "model": model,
            "generation": len(log) + 1,
            "version": version,
            "previous": log[-1].version if log else "",
            "reason": reason,
            "actor": actor,
            "note": note,
            "released_at": now,
        }
    )
    store.add_release(entry)
    return entry


def check_generation(log: list[Release], expected: int | None) -> None:
    """Raises Conflict where another generation than the expected one is served; None expects nothing."""
    if expected is not None and expected != len(log):
        last = f": a {log[-1].reason} by {log[-1].actor}" if log else ""
        raise Conflict(
            f"generation {expected} was expected to be served, but it is {len(log)}{last}",
            hint="look at the releases: what you want may have happened already",
        )


def rollback_target(log: list[Release], to_generation: int | None) -> Release:
    """The release whose version a rollback puts back. Raises NotFound, Conflict.

    Deployments and promotions stack up, a rollback takes off: two rollbacks in a row go back two steps, not there and back again.
    """
    if not log:
        raise NotFound("nothing was released yet, so there is nothing to take back")
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
