"""Logging in and out: with an API key, or with a link that has a one-time code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.console.http.console_access import ConsoleAccess, credential_of
from services.console.http.csrf import check_own_page, is_deliberate
from services.console.http.session_cookie import SessionCookie
from services.console.sessions.failed_logins import FailedLogins, TooManyFailures
from services.console.sessions.login_codes import LIFETIME_S, LoginCodes
from services.console.sessions.session_store import Session, SessionStore
from services.console.views.login_page import LOGIN_POLICY, render_login
from shared.access.authenticator import Authenticator
from shared.access.caller import ANONYMOUS, Caller, NotPermitted, Unauthenticated
from shared.access.scope import Scope
from shared.errors import HomeostatError, InvalidRequest
from shared.http.access_check import authorization, caller_of
from shared.http.errors import DESCRIBED
from shared.http.json_body import body_too_large
from shared.http.responses import json_response
from shared.observability.logs import get_logger

_log = get_logger(__name__)
LOGIN = "/login"
MAXIMUM_FORM_BYTES = 16 << 10
_FORM = "application/x-www-form-urlencoded"
# Of OpenAPI documents: a person without a session is sent to the login; a page says what is wrong, or an error does.
TO_LOGIN: Final[dict[int | str, dict[str, Any]]] = {303: {"description": "Where to log in."}}
PAGE_OR_ERROR: Final[dict[int | str, dict[str, Any]]] = {
    "default": {**DESCRIBED, "content": {**DESCRIBED["content"], "text/html": {}}}
}
_FORM_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            _FORM: {
                "schema": {
                    "type": "object",
                    "properties": {"key": {"type": "string"}, "code": {"type": "string"}},
                }
            }
        },
    }
}


@dataclass(frozen=True)
class Logins:
    """What the routes need. `provider`: the name of the identity provider with which people may log in, too; empty for none."""

    authenticator: Authenticator
    access: ConsoleAccess
    sessions: SessionStore
    codes: LoginCodes
    failures: FailedLogins
    cookie: SessionCookie
    provider: str = ""


def add_login_routes(router: APIRouter, logins: Logins) -> None:
    """Add the routes with which a person logs in and out."""

    @router.get("/login", response_class=HTMLResponse, responses=TO_LOGIN | PAGE_OR_ERROR)
    async def open_login(request: Request, code: str = "") -> Response:
        """A form for an API key. With `code`, as `homeostat console` prints it, log in at once."""
        if code and is_deliberate(request.headers):
            return await log_in(request, code=code)
        # A link on a page of another site could log a person in as somebody else: then the person has to press the button.
        try:
            caller = await logins.access.identify(request.scope)
        except HomeostatError:
            caller = ANONYMOUS
        return login_page(logins, caller=caller, code=code)

    @router.post(
        "/login",
        response_class=HTMLResponse,
        responses=TO_LOGIN | PAGE_OR_ERROR,
        openapi_extra=_FORM_BODY,
    )
    async def log_in_by_form(request: Request) -> Response:
        """Log in with the `key` or the `code` of a form."""
        check_own_page(request.headers)
        form = await _read_form(request)
        return await log_in(request, key=form.get("key", ""), code=form.get("code", ""))

    async def log_in(request: Request, *, key: str = "", code: str = "") -> Response:
        client = request.client.host if request.client else ""
        try:
            header = _of_code(logins.codes, code) if code else f"Bearer {key.strip()}"
            response = RedirectResponse("/", 303)
            await start_session(logins, request, response, header)
        except HomeostatError as error:
            if not isinstance(error, Unauthenticated | NotPermitted):
                return login_page(logins, problem=error)
            return login_page(logins, problem=_failed(logins.failures, client, error))
        return response

    @router.post("/login/codes", status_code=201)
    async def make_code(request: Request) -> Response:
        """A code with which a browser logs in once, within a minute, as the sender of the request."""
        header = authorization(request.scope)
        caller = caller_of(request.scope)
        if header is None or caller.name == ANONYMOUS.name:
            raise Unauthenticated(
                "a code is made for the sender of an API key only",
                hint="send `Authorization: Bearer` and an API key",
            )
        code = logins.codes.make(caller.name, credential_of(request.scope))
        return json_response({"code": code, "path": f"{LOGIN}?code={code}", "valid_seconds": LIFETIME_S}, 201)

    @router.post("/logout", status_code=303, response_class=RedirectResponse, responses=TO_LOGIN)
    async def log_out(request: Request) -> Response:
        """End the session."""
        check_own_page(request.headers)
        logins.sessions.end(logins.cookie.read(request.scope))
        response = RedirectResponse(LOGIN, 303)
        logins.cookie.clear(response, request.scope)
        return response


def _failed(failures: FailedLogins, client: str, error: HomeostatError) -> HomeostatError:
    """Count a failed login; the error to show. Only failures are paused: other people may have the same address."""
    try:
        failures.check(client)
    except TooManyFailures as paused:
        return paused
    failures.record(client)
    _log.warning("login_failed", client=client, problem=error.message)
    return error


async def start_session(logins: Logins, request: Request, response: Response, header: str) -> Session:
    """Log in the person of a credential, and give the browser a new id with `response`.

    Raises Unauthenticated, and NotPermitted for a person who may not read.
    """
    caller = await logins.authenticator.identify(header)
    caller.require(Scope.READ)
    # An id that the browser has brought along is never taken over.
    logins.sessions.end(logins.cookie.read(request.scope))
    identity, session = logins.sessions.start(caller.name, header)
    logins.cookie.set(response, request.scope, identity)
    _log.info("logged_in", name=caller.name, client=request.client.host if request.client else "")
    return session


def _of_code(codes: LoginCodes, code: str) -> str:
    header = codes.redeem(code)
    if header is None:
        raise Unauthenticated(
            "the link is not valid: it works once, within a minute",
            hint="`homeostat console` prints another one",
        )
    return header


def login_page(
    logins: Logins, *, caller: Caller = ANONYMOUS, code: str = "", problem: HomeostatError | None = None
) -> Response:
    """The form, with what went wrong before."""
    headers = {
        "Content-Security-Policy": LOGIN_POLICY,
        # With `no-referrer`, browsers send `Origin: null` with a form.
        "Referrer-Policy": "same-origin",
    }
    text = render_login(caller, code=code, problem=problem, provider=logins.provider)
    return Response(text, problem.status if problem else 200, headers, media_type="text/html")


async def _read_form(request: Request) -> dict[str, str]:
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != _FORM:
        raise InvalidRequest(
            f"Content-Type is {kind[:80] or 'missing'}", field="Content-Type", expected=_FORM, status=415
        )
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAXIMUM_FORM_BYTES:
            raise body_too_large(MAXIMUM_FORM_BYTES)
    try:
        fields = parse_qs(raw.decode(), strict_parsing=bool(raw), max_num_fields=8)
    except ValueError as error:
        raise InvalidRequest("the form is malformed", field="body", expected=_FORM, status=400) from error
    return {name: values[0] for name, values in fields.items()}
