"""The console's small pure pieces: reading, samples, wording, and which generation a rollback brings back."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.console.aggregation.fields import mappings, moment, number, since_epoch, text, texts, whole
from services.console.aggregation.prometheus_samples import Samples
from services.console.aggregation.rollback_target import candidates
from services.console.aggregation.view_models import Release
from services.console.formatting import age, amount, count, figure, size, times
from services.console.views.markup import Html, join, tag
from services.retraining.rollout.rollback import rollback_target
from shared.contracts.release import Release as LoggedRelease
from shared.errors import HomeostatError

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, 3, "x", [], {"a": 1}, True, float("nan"), float("inf"), 10**400])
def test_reading_never_fails(value: Any) -> None:
    body = {"key": value}
    assert isinstance(text(body, "key"), str)
    assert all(isinstance(one, str) for one in texts(body, "key"))
    assert number(body, "key") is None or value == 3
    assert isinstance(whole(body, "key"), int)
    assert moment(body, "key") is None
    assert list(mappings(body, "key")) == []
    assert list(mappings(value, "key")) == []


def test_long_text_is_cut_and_says_so() -> None:
    assert text({"key": "x" * 1000}, "key", 10) == "x" * 9 + "…"
    assert text({"key": "x" * 10}, "key", 10) == "x" * 10


def test_moments_need_an_offset() -> None:
    assert moment({"key": "2026-03-01T01:00:00+01:00"}, "key") == NOW
    assert moment({"key": "2026-03-01T01:00:00"}, "key") is None
    assert since_epoch(NOW.timestamp()) == NOW
    assert [since_epoch(value) for value in (None, 0.0, -1.0, float("nan"), 1e30)] == [None] * 5


def test_samples_are_those_that_are_wanted() -> None:
    scrape = (
        "# HELP a_total Things.\na_total 3.0\n"
        'b{model="x",kind="y \\"z\\" \\\\n \\n"} 4e-1\nb{model="w"} 2 1700000000000\n'
        "c 5.0\na_total_more 6\nb{broken 7\nb nonsense\nb NaN\n"
    )
    samples = Samples(scrape, {"a_total", "b"})
    assert samples.value("a_total") == 3.0
    assert samples.value("b", model="x", kind='y "z" \\n \n') == 0.4
    assert samples.value("b", model="w") == 2.0
    assert (samples.value("b", model="v"), samples.value("c"), samples.total("c")) == (None, None, None)
    assert samples.total("b") == pytest.approx(2.4)


def test_wording() -> None:
    assert [amount(seconds) for seconds in (-3, 0, 59.4, 60, 3600, 86400 * 3)] == [
        "0 s",
        "0 s",
        "59 s",
        "1 min",
        "1 h",
        "3 d",
    ]
    assert age(None, NOW) == "never"
    assert age(NOW + timedelta(seconds=3), NOW) == "0 s ago"
    assert age(NOW + timedelta(minutes=3), NOW) == "3 min ahead of this clock"
    assert (count(0, "row"), count(1, "row"), count(1234, "row")) == ("no rows", "1 row", "1,234 rows")
    assert (size(10), size(2048), size(3 << 30)) == ("10 B", "2 KiB", "3.0 GiB")
    assert (figure(None), figure(0.123456), times(None), times(0.424), times(12.3), times(1e9)) == (
        "–",
        "0.1235",
        "–",
        "0.42×",
        "12×",
        "999×",
    )


def test_what_is_not_made_as_html_is_escaped() -> None:
    assert (
        tag("p", "<b>&", tag("i", "x"), None, "", title='"<')
        == '<p title="&quot;&lt;">&lt;b&gt;&amp;<i>x</i></p>'
    )
    assert (
        tag("input", class_="a", aria_label="b", hidden=True, disabled=False, tabindex=0)
        == '<input class="a" aria-label="b" hidden tabindex="0">'
    )
    assert join("<", Html("<br>")) == "&lt;<br>"


def log_of(chance: random.Random) -> list[LoggedRelease]:
    log: list[LoggedRelease] = []
    for generation in range(1, chance.randint(1, 12) + 1):
        reason, version = chance.choice(("deployment", "promotion")), chance.choice("abcde") * 64
        if log and chance.random() < 0.4:
            try:
                version = rollback_target(log, chance.choice((None, chance.randint(1, len(log))))).version
                reason = "rollback"
            except HomeostatError:
                pass
        log.append(
            LoggedRelease(
                model="m",
                generation=generation,
                version=version,
                reason=reason,
                actor="a",
                released_at=NOW,
            )
        )
    return log


def test_rollback_candidates_are_accepted_by_retraining() -> None:
    chance = random.Random(5)
    for _ in range(500):
        log = log_of(chance)
        seen = [Release("m", one.generation, one.version, one.reason, "a", "", "", NOW) for one in log]
        choices = candidates(seen)
        assert len({one.version for one in choices}) == len(choices)
        assert log[-1].version not in {one.version for one in choices}
        for one in choices:
            assert rollback_target(log, one.generation).version == one.version
