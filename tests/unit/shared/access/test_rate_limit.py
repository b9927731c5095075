from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.access.api_key import ApiKey, make_key
from shared.access.caller import Caller
from shared.access.rate_limit import RateExceeded, RateLimits, TokenBucket
from shared.access.scope import Scope


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def passed(bucket: TokenBucket, requests: int) -> int:
    return sum(bucket.take() for _ in range(requests))


def test_a_seconds_worth_passes_at_once_and_then_the_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(5, monotonic=clock)
    assert passed(bucket, 20) == 5
    clock.seconds += 0.41
    assert passed(bucket, 20) == 2
    clock.seconds += 60
    assert passed(bucket, 20) == 5


def test_rate_below_one_lets_one_pass() -> None:
    clock = Clock()
    bucket = TokenBucket(0.1, monotonic=clock)
    assert passed(bucket, 3) == 1
    assert bucket.retry_after_s == 10
    clock.seconds += 9.9
    assert passed(bucket, 3) == 0
    assert bucket.retry_after_s == 1
    clock.seconds += 0.2
    assert passed(bucket, 3) == 1


def test_request_that_is_given_back_was_not_counted() -> None:
    bucket = TokenBucket(2, monotonic=Clock())
    for _ in range(10):
        assert bucket.take()
        bucket.give_back()
    assert passed(bucket, 5) == 2
    bucket.give_back()
    assert passed(bucket, 5) == 1


def key(rate: float | None) -> ApiKey:
    return make_key("ci", frozenset(Scope), datetime.now(UTC), requests_per_second=rate)[0]


def test_key_without_a_rate_has_no_bucket() -> None:
    assert RateLimits().of(key(None)) is None


def test_bucket_of_a_key_is_kept_until_its_rate_changes() -> None:
    limits, one = RateLimits(), key(3)
    bucket = limits.of(one)
    assert limits.of(replace(one, expires_at=datetime.now(UTC))) is bucket
    assert limits.of(key(3)) is not bucket
    changed = limits.of(replace(one, requests_per_second=7))
    assert changed is not bucket
    assert changed is not None
    assert changed.rate == 7


def test_caller_above_the_rate_is_refused() -> None:
    bucket = TokenBucket(0.25, monotonic=Clock())
    caller = Caller("nightly", frozenset(Scope), bucket)
    caller.count()
    with pytest.raises(RateExceeded, match=r"nightly may send 0\.25 requests per second") as refused:
        caller.count()
    assert (refused.value.status, refused.value.retry_after_s) == (429, 4)


@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
def test_stored_rate_that_is_none_is_malformed(rate: float) -> None:
    document = key(1).to_json() | {"requests_per_second": rate}
    with pytest.raises(ValueError, match="requests_per_second"):
        ApiKey.from_json(document)
