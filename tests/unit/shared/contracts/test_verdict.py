"""A verdict and its cause key: the same cause has the same key, however often it is delivered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
from pydantic import ValidationError

from shared.contracts.verdict import Score, Verdict, cause_key

END = datetime(2013, 2, 1, tzinfo=UTC)


def verdict(**changes: object) -> Verdict:
    fields: dict[str, object] = {
        "verdict_id": cause_key("flights", "performance", "0" * 64, END),
        "model": "flights",
        "version": "0" * 64,
        "generation": 1,
        "detector": "performance",
        "window_start": END - timedelta(days=7),
        "window_end": END,
        "rows": 5000,
        "outcomes": 4900,
        "state": "drift",
        "scores": (
            Score(
                signal="feature",
                feature="distance",
                method="wasserstein",
                value=0.3,
                threshold=0.1,
                exceeded=True,
            ),
        ),
        "top_drifted_features": ("distance",),
        "drifted": ("feature",),
        "reached_at": END,
    }
    return Verdict.model_validate({**fields, **changes})


def test_a_cause_key_is_known_by_heart() -> None:
    """Keys are stored in ledgers and used as names of runs: another way to compute them would act on old causes again."""
    assert cause_key("flights", "performance", "v", END) == "e48089db4ca1143b86a6100bcc0abb8f"


@pytest.mark.parametrize(
    "other",
    [
        ("trains", "performance", "v", END),
        ("flights", "request", "v", END),
        ("flights", "performance", "w", END),
        ("flights", "performance", "v", END + timedelta(seconds=1)),
    ],
)
def test_another_cause_has_another_key(other: tuple[str, str, str, datetime]) -> None:
    assert cause_key(*other) != cause_key("flights", "performance", "v", END)


def test_same_time_in_another_zone_is_the_same_cause() -> None:
    elsewhere = END.astimezone(timezone(timedelta(hours=2)))
    assert cause_key("flights", "performance", "v", elsewhere) == cause_key(
        "flights", "performance", "v", END
    )


def test_parts_cannot_run_into_each_other() -> None:
    assert cause_key("ab", "c", "v", END) != cause_key("a", "bc", "v", END)


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("field", ["value", "threshold"])
def test_what_json_cannot_hold_is_no_score(field: str, number: float) -> None:
    sound = verdict().scores[0].model_dump()
    with pytest.raises(ValidationError, match=field):
        Score.model_validate({**sound, field: number})


@pytest.mark.parametrize("field", ["loss", "reference_loss"])
def test_what_json_cannot_hold_is_no_loss(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        verdict(**{field: float("inf")})


def test_a_verdict_survives_the_topic() -> None:
    sent = verdict()
    assert Verdict.model_validate(orjson.loads(orjson.dumps(sent.model_dump(mode="json")))) == sent


@pytest.mark.parametrize(
    "change", [{"state": "fine"}, {"detector": "oracle"}, {"drifted": ["data"]}, {"mood": "bad"}]
)
def test_what_is_no_verdict_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        verdict(**change)
