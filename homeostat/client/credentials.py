"""The API key that a client sends with every request."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from shared.access.client_key import FILE_VARIABLE, KEY_VARIABLE, find_client_key
from shared.errors import CallerError

_SENDABLE = re.compile(r"[!-~]+")


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
    if _SENDABLE.fullmatch(given) is None:
        raise CallerError(
            "the API key has spaces, line breaks or characters that a header cannot have",
            hint=f"give the key alone, as `homeostat keys create` printed it: in api_key, {KEY_VARIABLE} or {FILE_VARIABLE}",
        )
    others = {name: value for name, value in found.items() if name.lower() != "authorization"}
    return others | {"Authorization": f"Bearer {given}"}
