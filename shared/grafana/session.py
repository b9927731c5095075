"""The connection under the library grafana-api: passes on only responses that the library can parse."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import orjson
import requests

from shared.errors import OperatorError
from shared.grafana.access import URL
from shared.grafana.error_mapping import NOT_GRAFANA

MAX_RESPONSE_BYTES = 32 << 20


class GrafanaSession(requests.Session):
    """The library's connection. Returns only responses that the library can parse: a JSON object or list, and for an error an
    object. Raises OperatorError for responses that are not from Grafana."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        answer = super().send(request, **(options | {"allow_redirects": False, "stream": True}))
        with answer:
            if 300 <= answer.status_code < 400:
                where = urlsplit(answer.headers.get("Location", ""))
                raise OperatorError(
                    f"Grafana at {self._url} redirects to {where.scheme}://{where.netloc}{where.path}"
                    if where.netloc
                    else f"Grafana at {self._url} redirects to {where.path or 'nowhere'}",
                    hint=f"set {URL} to the final address; credentials are not sent to another host",
                )
            answer._content = orjson.dumps(self._readable(answer, self._body(answer)))
            return answer

    def _body(self, answer: requests.Response) -> bytes:
        pieces, size = [], 0
        for piece in answer.iter_content(1 << 16):
            size += len(piece)
            if size > MAX_RESPONSE_BYTES:
                raise OperatorError(
                    f"Grafana at {self._url} sent a response of more than {MAX_RESPONSE_BYTES >> 20} MiB",
                    hint=NOT_GRAFANA,
                )
            pieces.append(piece)
        return b"".join(pieces)

    def _readable(self, answer: requests.Response, body: bytes) -> Any:
        status = answer.status_code
        if not body.strip() and status < 400:
            return {}
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError:
            found = None
        if status < 400 and isinstance(found, dict | list):
            return found
        if status >= 400 and isinstance(found, dict):
            return found
        if status >= 500 or status == 429:  # a proxy's error page while Grafana is unavailable
            return {"message": ""}
        raise OperatorError(
            f"the server at {self._url} is not Grafana: status {status} without Grafana's JSON",
            hint=NOT_GRAFANA,
        )
