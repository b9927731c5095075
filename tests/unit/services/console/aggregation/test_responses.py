"""Responses of the other services: the contract or an error; unknown fields are ignored."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from services.console.aggregation.responses import (
    Decisions,
    InferenceStatus,
    Releases,
    Response,
    Runs,
    Verdicts,
)
from tests.fakes.loop_services import full_loop

LOOP = full_loop()
PARSERS: dict[str, type[Response]] = {
    "verdicts": Verdicts,
    "releases": Releases,
    "decisions": Decisions,
    "runs": Runs,
}


def parse(name: str, **changed: Any) -> Any:
    entry = {**getattr(LOOP, name)[0], **changed}
    return getattr(PARSERS[name].parse(json.dumps({name: [entry]}).encode()), name)[0]


@pytest.mark.parametrize("name", PARSERS)
def test_fields_of_a_newer_service_are_ignored(name: str) -> None:
    assert parse(name, unknown="x").model == "flights"


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("verdicts", "state", "perhaps"),
        ("verdicts", "window_end", "soon"),
        ("verdicts", "window_end", "2026-03-01T00:00:00"),
        ("verdicts", "loss", float("inf")),
        ("releases", "generation", 0),
        ("releases", "released_at", "2026-03-01T00:00:00"),
        ("decisions", "decided_at", "2026-03-01T00:00:00"),
        ("runs", "gate", []),
    ],
)
def test_an_invalid_field_is_an_error(name: str, field: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        parse(name, **{field: value})


def test_a_time_that_utc_cannot_express_is_an_error() -> None:
    for name, field in (("verdicts", "window_end"), ("runs", "created_at")):
        with pytest.raises(OverflowError):
            parse(name, **{field: "0001-01-01T00:00:00+14:00"})


def test_times_are_in_utc_and_empty_ones_are_none() -> None:
    assert parse("runs", created_at="2026-03-01T01:00:00+01:00").created_at == datetime(
        2026, 3, 1, tzinfo=UTC
    )
    raw = b'{"models": [{"name": "flights", "since": "", "last_prediction_at": "2026-03-01T00:00:00Z"}]}'
    [model] = InferenceStatus.parse(raw).models
    assert (model.since, model.last_prediction_at) == (None, datetime(2026, 3, 1, tzinfo=UTC))
