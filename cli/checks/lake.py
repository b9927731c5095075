"""The lake, the clock beside it, and when data last came."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from cli.checks.check_result import Finding
from local_stack.settings import LocalStackSettings
from shared.stores.lake import Lake

CLOCK_SLACK = timedelta(seconds=5)


def lake(settings: LocalStackSettings, now: datetime) -> Iterator[Finding]:
    """Whether the lake can be read, and whether the clock is behind what was already written."""
    try:
        found = Lake(settings.lake_url)
        names = found.models()
        commits = [found.last_commit(name) for name in names]
    except Exception as error:  # deltalake raises several unrelated kinds; all mean the same here
        yield Finding(
            "lake", "failure", f"{settings.lake_url} cannot be read: {error}", f"ls -l {settings.lake_url}"
        )
        return
    yield Finding("lake", "ok", f"{len(names)} models at {settings.lake_url}")
    newest = max((moment for moment in commits if moment is not None), default=None)
    yield last_data(newest, now)
    yield clock(newest, now)


def last_data(newest_commit: datetime | None, now: datetime) -> Finding:
    """When a row last arrived. How long is too long only the owner of the traffic knows, so silence is no failure."""
    if newest_commit is None:
        return Finding("last data", "ok", "no row yet; `homeostat inject traffic` sends some")
    age = max(timedelta(0), now - newest_commit)
    return Finding("last data", "ok", f"{_spoken(age)} ago")


def _spoken(age: timedelta) -> str:
    for unit, seconds in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if age.total_seconds() >= 2 * seconds:
            return f"{age.total_seconds() / seconds:.0f} {unit}"
    return f"{age.total_seconds():.0f} s"


def clock(newest_commit: datetime | None, now: datetime) -> Finding:
    """A clock behind the lake's newest commit was stepped back: ages and lateness would be wrong."""
    if newest_commit is not None and now < newest_commit - CLOCK_SLACK:
        behind = (newest_commit - now).total_seconds()
        return Finding(
            "clock",
            "failure",
            f"{behind:.0f} s behind the newest commit of the lake",
            "timedatectl set-ntp true",
        )
    return Finding("clock", "ok", now.isoformat(timespec="seconds"))
