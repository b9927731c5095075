"""One-time codes."""

from __future__ import annotations

from services.console.sessions.login_codes import LIFETIME_S, MAXIMUM_CODES, LoginCodes
from tests.unit.services.console.sessions.test_session_store import Ticks


def test_code_is_valid_once() -> None:
    codes = LoginCodes(Ticks())
    first, second = codes.make("ada", "Bearer x"), codes.make("ada", "Bearer y")
    assert len(first) >= 43
    assert codes.redeem(first) == "Bearer x"
    assert codes.redeem(first) is None
    assert codes.redeem(second) == "Bearer y"


def test_code_is_valid_for_a_minute() -> None:
    ticks = Ticks()
    codes = LoginCodes(ticks)
    early, late = codes.make("ada", "Bearer x"), codes.make("ada", "Bearer x")
    ticks.now += LIFETIME_S - 0.001
    assert codes.redeem(early) == "Bearer x"
    ticks.now += 0.001
    assert codes.redeem(late) is None


def test_wrong_codes_are_not_valid() -> None:
    codes = LoginCodes(Ticks())
    codes.make("ada", "Bearer x")
    assert [codes.redeem(wrong) for wrong in ("", "x", "x" * 43, "\ud800")] == [None] * 4


def test_codes_are_bounded_and_secret() -> None:
    codes = LoginCodes(Ticks())
    made = [codes.make("ada", "Bearer secret") for _ in range(MAXIMUM_CODES + 1)]
    assert codes.redeem(made[0]) is None
    assert codes.redeem(made[1]) == "Bearer secret"
    assert made[2] not in repr(vars(codes))
    assert "secret" not in repr(vars(codes))


def test_code_is_not_displaced_by_those_of_others() -> None:
    codes = LoginCodes(Ticks())
    mine = codes.make("ada", "Bearer x")
    theirs = [codes.make("reader", "Bearer y") for _ in range(2 * MAXIMUM_CODES)]
    assert codes.redeem(theirs[0]) is None
    assert codes.redeem(theirs[-1]) == "Bearer y"
    assert codes.redeem(mine) == "Bearer x"


def test_expired_codes_take_no_room() -> None:
    ticks = Ticks()
    codes = LoginCodes(ticks)
    for number in range(MAXIMUM_CODES):
        codes.make(str(number), "Bearer x")
    ticks.now += LIFETIME_S
    codes.make("ada", "Bearer x")
    assert len(vars(codes)["_codes"]) == 1
