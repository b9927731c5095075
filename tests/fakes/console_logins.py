"""The console's logins, without a session."""

from __future__ import annotations

import time

from services.console.http.console_access import ConsoleAccess
from services.console.http.login_routes import Logins
from services.console.http.session_cookie import SessionCookie
from services.console.sessions.failed_logins import FailedLogins
from services.console.sessions.login_codes import LoginCodes
from services.console.sessions.session_store import SessionStore
from shared.access.authenticator import Authenticator


def console_logins(authenticator: Authenticator) -> Logins:
    """For a console whose callers `authenticator` recognises."""
    sessions = SessionStore(time.monotonic, idle_s=60, lifetime_s=60, maximum=5)
    cookie = SessionCookie(is_secure=False)
    access = ConsoleAccess(authenticator, sessions, cookie)
    codes, failures = LoginCodes(time.monotonic), FailedLogins(time.monotonic)
    return Logins(authenticator, access, sessions, codes, failures, cookie)
