"""A release: one entry of the log, numbered from one, never changed; and what a log says is served."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from shared.contracts.release import Release, live, slots

FIELDS: dict[str, Any] = {
    "model": "flights",
    "generation": 1,
    "version": "0" * 64,
    "reason": "deployment",
    "actor": "loop",
    "released_at": datetime(2013, 1, 15, tzinfo=UTC),
}


def test_a_release_survives_being_written_and_read() -> None:
    release = Release(**FIELDS)
    assert Release.model_validate(orjson.loads(orjson.dumps(release.model_dump(mode="json")))) == release


@pytest.mark.parametrize(
    "change",
    [{"generation": 0}, {"generation": -1}, {"reason": "whim"}, {"released_at": "soon"}, {"who": "me"}],
)
def test_what_is_no_release_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        Release.model_validate({**FIELDS, **change})


def test_a_release_is_never_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Release(**FIELDS).version = "1" * 64  # type: ignore[misc]


def test_live_entry_is_written_as_before_there_were_slots() -> None:
    written = Release(**FIELDS).model_dump(mode="json")
    assert set(written) == {
        *("model", "generation", "version", "previous", "reason", "actor", "run_id", "cause_key", "note"),
        *("released_at", "previous_entry", "signature"),
    }
    assert Release.model_validate(written).slot == "live"


def test_canary_says_its_slot_and_share() -> None:
    entry = entry_of(2, "b", "canary", 0.25)
    written = orjson.loads(orjson.dumps(entry.model_dump(mode="json")))
    assert (written["slot"], written["share"]) == ("canary", 0.25)
    assert Release.model_validate(written) == entry


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slot": "canary"}, "the reason of a canary entry is canary or withdrawal"),
        ({"slot": "canary", "reason": "shadow", "share": 0.1}, "of a canary entry is canary or withdrawal"),
        ({"reason": "withdrawal"}, "of a live entry is deployment or promotion or rollback"),
        (
            {"slot": "shadow", "reason": "shadow", "share": 0.1, "generation": 1},
            "first entry of a log is live",
        ),
        ({"slot": "shadow", "reason": "shadow", "share": 0}, "of others above 0"),
        ({"slot": "shadow", "reason": "withdrawal", "share": 0.1}, "of a withdrawal 0"),
        ({"share": 0.5}, "share of a live entry is 1"),
        ({"slot": "canary", "reason": "canary", "share": 1.5}, "less than or equal to 1"),
    ],
)
def test_slot_reason_and_share_fit_together(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Release.model_validate({**FIELDS, "generation": 2, **change})


@pytest.mark.parametrize(
    ("steps", "served"),
    [
        ("", {}),
        ("live:a", {"live": 1}),
        ("live:a canary:b", {"live": 1, "canary": 2}),
        ("live:a canary:b canary:b", {"live": 1, "canary": 3}),
        ("live:a shadow:b canary:c", {"live": 1, "shadow": 2, "canary": 3}),
        ("live:a shadow:b canary:c -shadow:b", {"live": 1, "canary": 3}),
        ("live:a canary:b -canary:b", {"live": 1}),
        ("live:a canary:b live:b", {"live": 3}),
        ("live:a shadow:b canary:b live:c shadow:d", {"live": 4, "shadow": 5}),
    ],
)
def test_slots_of_a_log(steps: str, served: dict[str, int]) -> None:
    log = log_of(steps)
    assert {slot: entry.generation for slot, entry in slots(log).items()} == served
    found = live(log)
    assert (found.generation if found else None) == served.get("live")


def log_of(steps: str) -> list[Release]:
    """`canary:b` starts b as canary, `-canary:b` withdraws it."""
    log = []
    for number, step in enumerate(steps.split(), start=1):
        slot, version = step.removeprefix("-").split(":")
        share = 0.0 if step.startswith("-") else 1.0 if slot == "live" else 0.1
        log.append(entry_of(number, version, slot, share))
    return log


def entry_of(generation: int, version: str, slot: str, share: float) -> Release:
    reason = "deployment" if slot == "live" else slot if share else "withdrawal"
    return Release.model_validate(
        FIELDS
        | {"generation": generation, "version": version, "slot": slot, "share": share, "reason": reason}
    )
