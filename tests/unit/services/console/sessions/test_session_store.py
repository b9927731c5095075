"""Sessions: their ids, their ends, and their number."""

from __future__ import annotations

from services.console.sessions.session_store import Session, SessionStore


class Ticks:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def store(ticks: Ticks, maximum: int = 3) -> SessionStore:
    return SessionStore(ticks, idle_s=60, lifetime_s=300, maximum=maximum)


def test_id_is_new_long_and_not_kept() -> None:
    sessions = store(Ticks())
    first, second = sessions.start("ada", "Bearer x")[0], sessions.start("ada", "Bearer x")[0]
    assert first != second
    assert len(first) >= 43  # 256 bits
    assert first not in repr(vars(sessions))
    assert sessions.find(first) == Session("ada", "Bearer x", 1000.0, 1000.0)


def test_unknown_and_ended_ids_have_no_session() -> None:
    sessions = store(Ticks())
    identity = sessions.start("ada", "Bearer x")[0]
    assert sessions.find("") is None
    assert sessions.find("x" * 43) is None
    sessions.end(identity)
    sessions.end(identity)
    assert sessions.find(identity) is None
    assert len(sessions) == 0


def test_session_ends_without_use() -> None:
    ticks = Ticks()
    sessions = store(ticks)
    used, unused = sessions.start("ada", "Bearer x")[0], sessions.start("ada", "Bearer x")[0]
    ticks.now += 59
    assert sessions.find(used) is not None
    assert sessions.find(unused, is_use=False) is not None
    ticks.now += 1
    assert sessions.find(used) is not None
    assert sessions.find(unused) is None


def test_session_ends_after_its_lifetime() -> None:
    ticks = Ticks()
    sessions = store(ticks)
    identity = sessions.start("ada", "Bearer x")[0]
    for _ in range(9):
        ticks.now += 30
        assert sessions.find(identity) is not None
    ticks.now += 30
    assert sessions.find(identity) is None


def test_too_many_sessions_end_one_of_the_person_with_most() -> None:
    ticks = Ticks()
    sessions = store(ticks)
    other, old, used = (sessions.start(name, "Bearer x")[0] for name in ("bob", "ada", "ada"))
    ticks.now += 1
    sessions.find(used)
    new = sessions.start("ada", "Bearer x")[0]
    assert [sessions.find(one) is not None for one in (other, old, used, new)] == [True, False, True, True]
    assert len(sessions) == 3


def test_expired_sessions_make_room() -> None:
    ticks = Ticks()
    sessions = store(ticks)
    for _ in range(3):
        sessions.start("ada", "Bearer x")[0]
    ticks.now += 60
    sessions.start("bob", "Bearer y")[0]
    assert len(sessions) == 1


def test_credential_is_not_in_the_repr() -> None:
    assert "secret" not in repr(Session("ada", "Bearer secret", 0, 0))
