"""One-time codes."""

from __future__ import annotations

from services.console.sessions.login_codes import LIFETIME_S, MAXIMUM_CODES, LoginCodes
from tests.unit.services.console.sessions.test_session_store import Ticks


def test_code_is_valid_once() -> None:
    codes = LoginCodes(Ticks())
    first, second = codes.make("Bearer x"), codes.make("Bearer y")
    assert len(first) >= 43
    assert codes.redeem(first) == "Bearer x"
    assert codes.redeem(first) is None
    assert codes.redeem(second) == "Bearer y"


def test_code_is_valid_for_a_minute() -> None:
    ticks = Ticks()
    codes = LoginCodes(ticks)
    early, late = codes.make("Bearer x"), codes.make("Bearer x")
    ticks.now += LIFETIME_S - 0.001
    assert codes.redeem(early) == "Bearer x"
    ticks.now += 0.001
    assert codes.redeem(late) is None


def test_wrong_codes_are_not_valid() -> None:
    codes = LoginCodes(Ticks())
    codes.make("Bearer x")
    assert [codes.redeem(wrong) for wrong in ("", "x", "x" * 43, "\ud800")] == [None] * 4


def test_codes_are_bounded_and_secret() -> None:
    codes = LoginCodes(Ticks())
    made = [codes.make("Bearer secret") for _ in range(MAXIMUM_CODES + 1)]
    assert codes.redeem(made[0]) is None
    assert codes.redeem(made[1]) == "Bearer secret"
    assert made[2] not in repr(vars(codes))
    assert "secret" not in repr(vars(codes))
