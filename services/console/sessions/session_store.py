"""The sessions of people who have logged in.

1. An id is made here, of 256 random bits, at each login; an id that a browser brings along is never taken over.
2. Only a digest of the id is kept, so that looking it up takes the same time for every wrong one.
3. A session ends after a time without use, after a time in all, at logout, and when its credential is no longer accepted.
4. If there are too many, the least recently used one of the person who has most of them ends: nobody can end another's by
   logging in often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_urlsafe

_ID_BYTES = 32


@dataclass
class Session:
    """`authorization` is the header with the person's own credential, which every request of the session is checked by.

    `refresh_token`: to get the next one from the identity provider, from the monotonic time `renew_at_s` on; empty for none.
    """

    name: str
    authorization: str = field(repr=False)
    started_s: float
    used_s: float
    refresh_token: str = field(default="", repr=False)
    renew_at_s: float = 0.0


class SessionStore:
    """Sessions by id. `ticks` is a monotonic clock; `idle_s` and `lifetime_s` are in seconds. For one event loop."""

    def __init__(self, ticks: Callable[[], float], *, idle_s: float, lifetime_s: float, maximum: int) -> None:
        self._ticks = ticks
        self._idle_s = idle_s
        self._lifetime_s = lifetime_s
        self._maximum = maximum
        self._sessions: dict[bytes, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def start(self, name: str, authorization: str) -> tuple[str, Session]:
        """A new session and its id."""
        self._end_expired()
        if len(self._sessions) >= self._maximum:
            self._end_one()
        identity, now = token_urlsafe(_ID_BYTES), self._ticks()
        session = self._sessions[_digest(identity)] = Session(name, authorization, now, now)
        return identity, session

    def find(self, identity: str, *, is_use: bool = True) -> Session | None:
        """The session with an id. `is_use`: a person has sent the request, so the idle time starts again."""
        key = _digest(identity)
        session = self._sessions.get(key)
        if session is None:
            return None
        if self._has_expired(session):
            del self._sessions[key]
            return None
        if is_use:
            session.used_s = self._ticks()
        return session

    def end(self, identity: str) -> None:
        """End the session with an id, if there is one."""
        self._sessions.pop(_digest(identity), None)

    def _has_expired(self, session: Session) -> bool:
        now = self._ticks()
        return now - session.used_s >= self._idle_s or now - session.started_s >= self._lifetime_s

    def _end_expired(self) -> None:
        self._sessions = {
            key: session for key, session in self._sessions.items() if not self._has_expired(session)
        }

    def _end_one(self) -> None:
        [(name, _)] = Counter(session.name for session in self._sessions.values()).most_common(1)
        theirs = (key for key, session in self._sessions.items() if session.name == name)
        del self._sessions[min(theirs, key=lambda key: self._sessions[key].used_s)]


def _digest(identity: str) -> bytes:
    return sha256(identity.encode()).digest()
