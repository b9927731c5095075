"""Logging in with an identity provider."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.console.http.login_routes import PAGE_OR_ERROR, TO_LOGIN, Logins, login_page, start_session
from services.console.sessions.oidc_client import LoginSecrets, OidcClient, check_state
from services.console.sessions.renewal import EARLY_S, RETRY_S
from services.console.views.login_page import LANDING_POLICY, render_landing
from shared.access.caller import NotPermitted, Unauthenticated
from shared.errors import HomeostatError

CALLBACK = "/login/callback"


def add_oidc_routes(router: APIRouter, logins: Logins, client: OidcClient | None, url: str) -> None:
    """Add the routes. `url`: at which browsers reach the console; empty: as the request says."""

    def redirect_uri(request: Request) -> str:
        base = url.rstrip("/") or f"{request.url.scheme}://{request.headers['host']}"
        return f"{base}{CALLBACK}"

    @router.get(
        "/login/oidc",
        status_code=303,
        response_class=RedirectResponse,
        responses=TO_LOGIN | PAGE_OR_ERROR,
    )
    async def begin(request: Request) -> Response:
        """Send the browser to the identity provider."""
        if client is None:
            return RedirectResponse("/login", 303)
        try:
            secrets, location = await client.begin(redirect_uri(request))
        except HomeostatError as error:
            return login_page(logins, problem=error)
        response = RedirectResponse(location, 303)
        logins.cookie.remember_login(response, request.scope, secrets.text)
        return response

    @router.get("/login/callback", response_class=HTMLResponse, responses=TO_LOGIN | PAGE_OR_ERROR)
    async def finish(request: Request) -> Response:
        """The provider sends the browser back here."""
        if client is None:
            return RedirectResponse("/login", 303)
        answer = dict(request.query_params)
        secrets = LoginSecrets.parse(logins.cookie.read_login(request.scope))
        # Counted apart from wrong keys: each answer is a request to the provider, so here the pause comes first.
        address = f"callback {request.client.host if request.client else ''}"
        try:
            # Before failures are counted: a page of another site can send a browser here.
            check_state(secrets, answer)
            logins.failures.check(address)
            try:
                tokens = await client.finish(secrets, answer, redirect_uri(request))
                # Not a redirect: the browser counts it as part of the way from the provider, and would not send the cookie.
                landing = Response(
                    render_landing(),
                    headers={"Content-Security-Policy": LANDING_POLICY},
                    media_type="text/html",
                )
                session = await start_session(logins, request, landing, tokens.authorization)
            except (Unauthenticated, NotPermitted):
                logins.failures.record(address)
                raise
        except HomeostatError as error:
            refused = login_page(logins, problem=error)
            logins.cookie.forget_login(refused, request.scope)
            return refused
        session.refresh_token = tokens.refresh
        session.renew_at_s = session.started_s + max(tokens.seconds - EARLY_S, RETRY_S)
        logins.cookie.forget_login(landing, request.scope)
        return landing
