"""A release: one entry of the log, numbered from one, never changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from shared.contracts.release import Release

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
