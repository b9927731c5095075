"""The one place that chooses the console's real implementations."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
from prometheus_client import CollectorRegistry

from services.console.aggregation.aggregator import Aggregator
from services.console.aggregation.endpoints import Endpoints, find_endpoints
from services.console.aggregation.poller import Poller
from services.console.aggregation.renewed_transport import RenewedTransport
from services.console.http.action_client import ActionClient
from services.console.http.app import make_app
from services.console.http.console_access import ConsoleAccess
from services.console.http.listener_check import check_listener
from services.console.http.login_routes import Logins
from services.console.http.routes import Dependencies
from services.console.http.session_cookie import SessionCookie
from services.console.metrics import ConsoleMetrics
from services.console.sessions.failed_logins import FailedLogins
from services.console.sessions.login_codes import LoginCodes
from services.console.sessions.oidc_client import OidcClient
from services.console.sessions.renewal import TokenRenewal
from services.console.sessions.session_store import SessionStore
from services.console.settings import ConsoleSettings
from shared.access.authenticator import Authenticator, open_authenticator
from shared.access.installation_keys import read_key_text
from shared.access.oidc.settings import OidcSettings
from shared.access.oidc.token_verifier import OidcTokenVerifier
from shared.errors import OperatorError
from shared.http.host_check import AllowedHosts
from shared.http.server import HttpServer
from shared.tls.client_environment import client_tls
from shared.tls.metrics import watch_certificate
from shared.tls.server_certificate import ServerCertificate


def build(
    settings: ConsoleSettings,
    listener: socket.socket,
    endpoints: Callable[[], Endpoints] | None = None,
    *,
    certificate: ServerCertificate | None = None,
) -> HttpServer:
    """The console, not yet started. `endpoints` is called for each snapshot; by default it reads the settings and the stack.

    `certificate`: that of the listener; without one it has no TLS.
    """
    find = endpoints or (lambda: find_endpoints(settings))
    metrics = ConsoleMetrics(CollectorRegistry())
    watch_certificate(metrics.registry, certificate)
    # Our services are reached directly, never through a proxy from the environment.
    transport = RenewedTransport(client_tls(), httpx.Limits(max_connections=64))
    client = httpx.AsyncClient(trust_env=False, timeout=5.0, transport=transport)
    api_key = read_api_key(settings)
    # Root could read credentials in the memory of this process as well.
    owners = frozenset({os.geteuid(), 0})
    poller = Poller(
        client, _now, time.monotonic, metrics, api_key, check=lambda base: check_listener(base, owners)
    )
    authenticator = open_authenticator(settings, settings.host, OidcSettings.read())
    oidc = make_oidc_client(settings, authenticator)
    sessions = SessionStore(
        time.monotonic,
        idle_s=settings.session_idle_minutes * 60,
        lifetime_s=settings.session_hours * 3600,
        maximum=settings.maximum_sessions,
    )
    cookie = SessionCookie(is_secure=settings.is_secure)
    dependencies = Dependencies(
        aggregator=Aggregator(poller, find, _now, time.monotonic, metrics),
        actions=ActionClient(client, lambda: find().retraining, owners),
        client=client,
        drift=lambda: find().drift,
        retraining=lambda: find().retraining,
        metrics=metrics,
        logins=Logins(
            authenticator=authenticator,
            access=ConsoleAccess(
                authenticator, sessions, cookie, TokenRenewal(oidc, time.monotonic) if oidc else None
            ),
            sessions=sessions,
            codes=LoginCodes(time.monotonic),
            failures=FailedLogins(time.monotonic),
            cookie=cookie,
            provider=oidc.provider_name if oidc else "",
        ),
        api_key=api_key,
        oidc=oidc,
        url=settings.url,
        owners=owners,
    )
    hosts = AllowedHosts.of(settings.host, settings.all_names, "HOMEOSTAT_CONSOLE_NAMES")
    app = make_app(dependencies, hosts, poller.close)
    return HttpServer(
        app, listener, graceful_seconds=3, certificate=certificate, proxies=settings.trusted_proxies
    )


def read_api_key(settings: ConsoleSettings) -> str:
    """The console's own key; empty for none. Raises OperatorError where its file cannot be read."""
    given = settings.api_key.get_secret_value().strip()
    return given or (read_key_text(settings.api_key_file) if settings.api_key_file else "")


def make_oidc_client(settings: ConsoleSettings, authenticator: Authenticator) -> OidcClient | None:
    """The client with which people log in; None without one. Raises OperatorError where its secret cannot be read."""
    if not settings.oidc_client_id:
        return None
    if not isinstance(authenticator.tokens, OidcTokenVerifier):
        raise OperatorError(
            "HOMEOSTAT_CONSOLE_OIDC_CLIENT_ID is set, but no identity provider",
            hint="set HOMEOSTAT_OIDC_ISSUER and HOMEOSTAT_OIDC_AUDIENCE",
        )
    secret = settings.oidc_client_secret.get_secret_value()
    file = settings.oidc_client_secret_file
    return OidcClient(
        authenticator.tokens,
        client_id=settings.oidc_client_id,
        client_secret=secret or (read_key_text(file) if file else ""),
        scopes=settings.oidc_scopes,
        parameters=settings.oidc_parameters,
    )


def _now() -> datetime:
    return datetime.now(UTC)
