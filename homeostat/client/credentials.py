"""The API key that a client sends with every request."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Mapping
from pathlib import Path

import httpx

from shared.access.client_key import FILE_VARIABLE, KEY_VARIABLE, find_client_key
from shared.access.installation_keys import read_key_text
from shared.errors import CallerError, HomeostatError

_SENDABLE = re.compile(r"[!-~]+")


class KeyFromFile(httpx.Auth):
    """Sends the key in a file, which may be replaced while the client runs: after a 401 it is read again.

    A request that is refused with 401 has done nothing, so it is sent once more if the key has changed.
    """

    def __init__(self, file: Path, authorization: str) -> None:
        self._file = file
        self._authorization = authorization

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """httpx's protocol: the request, its response, and perhaps the request again."""
        sent = request.headers["Authorization"] = self._authorization
        response = yield request
        if response.status_code != 401:
            return
        try:
            authorization = _authorization(read_key_text(self._file))
        except HomeostatError:
            return  # being replaced, or gone: the refusal of the old key is the news
        self._authorization = authorization
        if authorization != sent:
            request.headers["Authorization"] = authorization
            yield request


def key_from_file(headers: Mapping[str, str] | None, api_key: str | None) -> KeyFromFile | None:
    """What sends the key of `HOMEOSTAT_API_KEY_FILE`, if `headers_with_key` takes that; else None. Raises as that does."""
    file, given = os.environ.get(FILE_VARIABLE, "").strip(), os.environ.get(KEY_VARIABLE, "").strip()
    if (
        api_key is not None
        or given
        or not file
        or any(name.lower() == "authorization" for name in headers or ())
    ):
        return None
    return KeyFromFile(Path(file), headers_with_key(headers, None)["Authorization"])


def headers_with_key(headers: Mapping[str, str] | None, api_key: str | None) -> dict[str, str]:
    """`headers` and an `Authorization`: 1. of `api_key`   2. the one in `headers`   3. of `HOMEOSTAT_API_KEY`, or of the file
    `HOMEOSTAT_API_KEY_FILE`. An empty `api_key` sends none.

    Raises CallerError for a key that cannot be sent, OperatorError if the file cannot be read.
    """
    found = dict(headers or {})
    given = api_key
    if given is None:
        if any(name.lower() == "authorization" for name in found):
            return found
        given = find_client_key(Path(), os.environ).given
    if not given:
        return found
    others = {name: value for name, value in found.items() if name.lower() != "authorization"}
    return others | {"Authorization": _authorization(given)}


def _authorization(key: str) -> str:
    if _SENDABLE.fullmatch(key) is None:
        raise CallerError(
            "the API key has spaces, line breaks or characters that a header cannot have",
            hint=f"give the key alone, as `homeostat keys create` printed it: in api_key, {KEY_VARIABLE} or {FILE_VARIABLE}",
        )
    return f"Bearer {key}"
