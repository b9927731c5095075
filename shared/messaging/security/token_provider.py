"""Access tokens for SASL/OAUTHBEARER (RFC 7628): from a token endpoint, or from a command.

A token is kept until shortly before it expires. kafka-python asks for one at each connection, and again before the broker ends
the session.
"""

from __future__ import annotations

import base64
import binascii
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Lock
from urllib.parse import quote, urlencode, urlsplit

import orjson
from kafka.errors import KafkaError
from kafka.net.sasl.oauth import AbstractTokenProvider

from shared.errors import OperatorError
from shared.messaging.security.settings import KafkaSettings
from shared.tls.client_context import ClientTls

_TIMEOUT_S = 10.0
_MARGIN_S = 30.0
_SHORT_S = 60.0  # how long a token is used that does not say when it expires


@dataclass(frozen=True)
class Token:
    """An access token, and for how many seconds it is valid from now."""

    text: str
    seconds: float


Source = Callable[[], Token]


class TokenUnavailable(KafkaError):  # type: ignore[misc]
    """There is no token. kafka-python treats it as a failed connection, and tries again."""


class TokenProvider(AbstractTokenProvider):  # type: ignore[misc]
    """Keeps the token of `source`. Thread-safe."""

    def __init__(self, source: Source, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._source = source
        self._clock = clock
        self._lock = Lock()
        self._token = ""
        self._until = 0.0

    def token(self) -> str:
        """A token that is valid for a while. Raises TokenUnavailable."""
        with self._lock:
            now = self._clock()
            if now >= self._until:
                try:
                    made = self._source()
                except OperatorError as error:
                    raise TokenUnavailable(str(error)) from error
                self._token = made.text
                self._until = now + max(made.seconds - _MARGIN_S, made.seconds / 2)
            return self._token


def token_source(settings: KafkaSettings, secret: str, tls: ClientTls) -> Source:
    """The source that the settings name. Raises OperatorError if they name none, or two."""
    command, url = settings.oauth_token_command, settings.oauth_token_url
    if bool(command) == bool(url):
        raise OperatorError(
            f"HOMEOSTAT_KAFKA_OAUTH_TOKEN_URL and HOMEOSTAT_KAFKA_OAUTH_TOKEN_COMMAND are {'both' if url else 'not'} set, "
            "and HOMEOSTAT_KAFKA_SASL_MECHANISM is OAUTHBEARER",
            hint="set one of them",
        )
    if command:
        return lambda: token_of_command(command)
    if not settings.oauth_client_id or not secret:
        raise OperatorError(
            "HOMEOSTAT_KAFKA_OAUTH_CLIENT_ID or HOMEOSTAT_KAFKA_OAUTH_CLIENT_SECRET is not set",
            hint="set both; the token endpoint requires them",
        )
    return lambda: token_of_endpoint(url, settings.oauth_client_id, secret, settings.oauth_scope, tls)


def token_of_endpoint(url: str, client_id: str, secret: str, scope: str, tls: ClientTls) -> Token:
    """Request a token with client credentials. Raises OperatorError."""
    address = urlsplit(url)
    where = f"HOMEOSTAT_KAFKA_OAUTH_TOKEN_URL: {url}"
    form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
    # RFC 6749, section 2.3.1: both parts are form-encoded before they are joined.
    credentials = base64.b64encode(f"{quote(client_id, safe='')}:{quote(secret, safe='')}".encode()).decode()
    headers = {
        "Authorization": f"Basic {credentials}",
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
    }
    host = address.hostname or ""
    connection = (
        HTTPSConnection(host, address.port, timeout=_TIMEOUT_S, context=tls.context())
        if address.scheme == "https"
        else HTTPConnection(host, address.port, timeout=_TIMEOUT_S)
    )
    try:
        path = (address.path or "/") + (f"?{address.query}" if address.query else "")
        connection.request("POST", path, body=urlencode(form), headers=headers)
        response = connection.getresponse()
        content = response.read(1 << 20)
    except (OSError, HTTPException) as error:
        raise OperatorError(
            f"{where} cannot be reached: {error or type(error).__name__}", hint="check the address"
        ) from error
    finally:
        connection.close()
    if response.status != 200:
        raise OperatorError(
            f"{where} answered {response.status}: {content[:200].decode('utf-8', 'replace')}",
            hint="check client id, secret and scope",
        )
    try:
        body = orjson.loads(content)
        text = str(body["access_token"])
        return Token(text, float(body.get("expires_in") or seconds_left(text)))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise OperatorError(
            f"{where} returned no access token", hint="check that it is a token endpoint"
        ) from error


def token_of_command(command: Sequence[str]) -> Token:
    """Run a command that prints a token. Raises OperatorError; its message does not contain the output."""
    name = f"HOMEOSTAT_KAFKA_OAUTH_TOKEN_COMMAND: {command[0]}"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise OperatorError(f"{name} did not end within {_TIMEOUT_S:.0f} s", hint="run it by hand") from error
    except OSError as error:
        raise OperatorError(f"{name} cannot be run: {error.strerror}", hint="check the path") from error
    text = done.stdout.strip()
    if done.returncode != 0 or not text:
        raise OperatorError(
            f"{name} ended with {done.returncode} and printed no token", hint="run it by hand"
        )
    return Token(text, seconds_left(text))


def seconds_left(token: str, now: float | None = None) -> float:
    """Seconds until a JSON Web Token (RFC 7519) expires; a minute if it is none, or has no `exp`."""
    parts = token.split(".")
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return float(claims["exp"]) - (time.time() if now is None else now)
    except (IndexError, binascii.Error, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return _SHORT_S
