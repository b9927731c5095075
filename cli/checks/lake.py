"""The lake, the age of its newest data, and the system clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from cli.checks.check_result import CheckResult
from local_stack.settings import LocalStackSettings
from shared.stores.dead_letters import read_dead_letters
from shared.stores.lake import Lake
from shared.stores.lake_statistics import last_commit

_LETTERS = 1000
CLOCK_SLACK = timedelta(seconds=5)


def lake(settings: LocalStackSettings, now: datetime) -> Iterator[CheckResult]:
    """Whether the lake can be read, when data last arrived, and whether the clock was set back."""
    try:
        found = Lake(settings.lake_url)
        names = found.models()
    except Exception as error:  # deltalake raises several unrelated types
        yield CheckResult(
            "lake", "failure", f"{settings.lake_url} cannot be read: {error}", f"ls -l {settings.lake_url}"
        )
        return
    commits = []
    for name in names:
        try:
            commits.append(last_commit(found, name))
        except Exception as error:
            location = found.predictions(name)
            yield CheckResult(
                f"lake of {name}", "failure", f"{location} cannot be read: {error}", f"ls -l {location}"
            )
    yield CheckResult("lake", "ok", f"{len(names)} models at {settings.lake_url}")
    yield dead_letters(found)
    newest = max((commit for commit in commits if commit is not None), default=None)
    yield last_data(newest, now)
    yield clock(newest, now)


def dead_letters(found: Lake) -> CheckResult:
    """Dead letters that were not replayed, by reason; of the newest thousand."""
    try:
        letters = [letter for letter in read_dead_letters(found, limit=_LETTERS) if letter.waits]
    except Exception as error:
        location = found.dead_letters()
        return CheckResult(
            "dead letters", "failure", f"{location} cannot be read: {error}", f"ls -l {location}"
        )
    if not letters:
        return CheckResult("dead letters", "ok", "none")
    reasons = ", ".join(
        f"{count} {reason}" for reason, count in Counter(one.reason for one in letters).items()
    )
    return CheckResult(
        "dead letters", "warning", f"{len(letters)} records: {reasons}", "homeostat log dead-letters list"
    )


def last_data(newest_commit: datetime | None, now: datetime) -> CheckResult:
    """When a row last arrived. No traffic is no failure, since only its owner knows the expected rate."""
    if newest_commit is None:
        return CheckResult("last data", "ok", "no rows yet; `homeostat inject traffic` sends some")
    age = max(timedelta(0), now - newest_commit)
    return CheckResult("last data", "ok", f"{_format_age(age)} ago")


def _format_age(age: timedelta) -> str:
    for unit, seconds in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if age.total_seconds() >= 2 * seconds:
            return f"{age.total_seconds() / seconds:.0f} {unit}"
    return f"{age.total_seconds():.0f} s"


def clock(newest_commit: datetime | None, now: datetime) -> CheckResult:
    """A clock behind the lake's newest commit was set back: ages and delays would be wrong."""
    if newest_commit is not None and now < newest_commit - CLOCK_SLACK:
        behind = (newest_commit - now).total_seconds()
        return CheckResult(
            "clock",
            "failure",
            f"{behind:.0f} s behind the newest commit of the lake",
            "timedatectl set-ntp true",
        )
    return CheckResult("clock", "ok", now.isoformat(timespec="seconds"))
