"""Requests to inference and what their answers mean. Pure: nothing is sent here.

What may be sent again:

1. Reads and outcomes: after a lost connection, and after 408, 425, 429, 502, 503 and 504. A repeated outcome counts once.
2. Predictions: only if none can have been logged. Either no connection was made, or the server itself said that it does not
   answer: 408, 429 or 503 in Homeostat's form. The same status of a proxy proves nothing, since the proxy may have asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import orjson

from homeostat.client.errors import (
    AnswerLost,
    RequestRefused,
    ServerFailed,
    ServerMessage,
    ServerUnavailable,
)
from homeostat.client.inputs import Row
from homeostat.client.outcomes import Outcome
from homeostat.client.retry import Failure, retry_after_s
from shared.errors import CallerError
from shared.tls.client_environment import problem_of

_START = "start it with `homeostat up`, or give its address as `url`"
_TRY_AGAIN = frozenset({408, 425, 429, 502, 503, 504})
_TOO_LARGE = 413
_IN_PARTS = (
    "call predict for parts of the rows, such as frame[start : start + 5000]; it does not divide them, since one version "
    "answers a call, and parts may be answered by two"
)
_SAYS_NOT_ANSWERED = frozenset({408, 429, 503})
_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True)
class Call:
    """One request. `is_prediction`: sent again only if it was not answered."""

    method: str
    path: str
    content: bytes | None = None
    is_prediction: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the request."""
        return {"Accept": "application/json"} | ({"Content-Type": "application/json"} if self.content else {})


# Of the Open Inference Protocol: it needs the same permission as a prediction.
MODELS = Call("POST", "/v2/repository/index", b"{}")


def checked_url(url: str) -> str:
    """The base URL without its last slash. Raises CallerError if it is none."""
    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise CallerError(
            f"url is {url!r}; expected http:// or https:// and a host",
            hint="for example http://localhost:8000",
        )
    return url.rstrip("/")


def metadata_call(model: str) -> Call:
    """The inputs of a model."""
    return Call("GET", f"/v2/models/{quote(model, safe='')}")


def predict_call(model: str, rows: list[Row], event_time: str | None, key: str | None = None) -> Call:
    """A prediction for every row."""
    body: dict[str, Any] = {"model": model, "rows": rows}
    if event_time is not None:
        body["event_time"] = event_time
    if key is not None:
        body["key"] = key
    return Call("POST", "/predict", orjson.dumps(body), is_prediction=True)


def outcomes_call(outcomes: list[Outcome]) -> Call:
    """The outcomes, all or none."""
    return Call("POST", "/outcomes", orjson.dumps({"outcomes": outcomes}))


def only_model(models: Sequence[Mapping[str, Any]]) -> str:
    """The model of a server that has one, from the answer to `MODELS`. Raises CallerError."""
    names = sorted(str(one["name"]) for one in [one for one in models if one["version"]] or models)
    if len(names) == 1:
        return names[0]
    if not names:
        raise CallerError(
            "the server serves no model", hint="`homeostat deploy` releases the first version of a model"
        )
    raise CallerError(
        f"the server serves {len(names)} models, and none was named",
        hint=f"give the client one as `model`: {', '.join(names)}",
    )


def failure_of_transport(call: Call, url: str, error: httpx.RequestError) -> Failure:
    """What it means that no complete answer came."""
    problem, hint = _tls_problem(error)
    reason = problem or str(error) or type(error).__name__
    if call.is_prediction and not isinstance(error, _NOTHING_SENT):
        return Failure(_answer_lost(f"no response from {url}: {reason}"))
    return Failure(
        ServerUnavailable(f"inference cannot be reached at {url}: {reason}", hint=hint or _START), not problem
    )


def _tls_problem(error: BaseException | None) -> tuple[str, str]:
    """What is wrong with the TLS of a connection, which a further attempt does not change; empty if it is something else."""
    while error is not None:
        found = problem_of(error)
        if found[0]:
            return found
        error = error.__cause__ or error.__context__
    return "", ""


def failure_of_response(call: Call, response: httpx.Response) -> Failure | None:
    """What is wrong with an answer; None if nothing is."""
    status = response.status_code
    if status < 300:
        return None
    message = _message(response)
    after = retry_after_s(response.headers.get("Retry-After", ""))
    if status in _TRY_AGAIN:
        if call.is_prediction and not (message.is_ours and status in _SAYS_NOT_ANSWERED):
            return Failure(_answer_lost(f"a proxy before {response.url} answered {status}: {message.error}"))
        return Failure(ServerUnavailable(message.error, hint=message.hint), True, after, message.rows)
    if status >= 500:
        return Failure(ServerFailed(message))
    if status == _TOO_LARGE and call.is_prediction and not message.hint:
        message = replace(message, hint=_IN_PARTS)
    return Failure(RequestRefused(message))


def json_of(response: httpx.Response) -> Any:
    """The body of an answer. Raises ServerFailed if it is no JSON."""
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError as error:
        text = f"{response.url} returned something that is not JSON"
        hint = "check that `url` is the address of inference"
        raise ServerFailed(ServerMessage(response.status_code, text, hint=hint)) from error


def _answer_lost(problem: str) -> AnswerLost:
    return AnswerLost(
        f"the response to a prediction was lost: {problem}",
        hint="the server may have logged the rows; repeat the request only if a second log entry does no harm",
    )


def _message(response: httpx.Response) -> ServerMessage:
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("error"), str):
        return ServerMessage(
            response.status_code,
            f"{response.url} answered {response.status_code} {response.reason_phrase}",
            hint="check that `url` is the address of inference, and what a proxy before it says",
        )
    row, rows = body.get("row"), body.get("rows")
    return ServerMessage(
        response.status_code,
        body["error"],
        **{name: str(body.get(name) or "") for name in ("hint", "error_id", "field", "expected")},
        row=row if isinstance(row, int) else None,
        rows=tuple(number for number in rows if type(number) is int) if isinstance(rows, list) else (),
        is_ours=True,
    )
