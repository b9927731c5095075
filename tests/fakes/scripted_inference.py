"""An inference server in memory that answers as scripted, and remembers what it logged and was asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import orjson

VERSION = "ab" * 32
CANARY = "cd" * 32
INPUTS: list[dict[str, Any]] = [
    {"name": "amount", "datatype": "FP32", "shape": [-1], "parameters": {"type": "number", "nullable": True}},
    {
        "name": "count",
        "datatype": "INT64",
        "shape": [-1],
        "parameters": {"type": "integer", "nullable": False},
    },
    {
        "name": "member",
        "datatype": "BOOL",
        "shape": [-1],
        "parameters": {"type": "boolean", "nullable": False},
    },
    {
        "name": "colour",
        "datatype": "BYTES",
        "shape": [-1],
        "parameters": {"type": "category", "nullable": False, "values": "red\ngreen"},
    },
]
Step = Callable[[httpx.Request], httpx.Response]


def unavailable(request: httpx.Request, after: str = "") -> httpx.Response:
    """The server itself says that it does not answer."""
    headers = {"Retry-After": after} if after else {}
    return httpx.Response(503, json={"error": "no model is loaded", "hint": "wait"}, headers=headers)


def proxy_says(status: int) -> Step:
    """A proxy before the server answers, without Homeostat's form."""
    return lambda request: httpx.Response(status, text="upstream reset")


def refused_connection(request: httpx.Request) -> httpx.Response:
    """Nobody listens."""
    raise httpx.ConnectError("connection refused", request=request)


class ScriptedInference:
    """`script` holds what happens to the next predictions and outcomes instead, in order; `unreachable` refuses every connection.

    Outcomes of `unknown_ids` are refused, those of `early_ids` cannot be taken yet: their model is not loaded.
    """

    def __init__(self) -> None:
        self.script: list[Step] = []
        self.unreachable = False
        self.version = VERSION
        self.inputs: list[dict[str, Any]] = INPUTS
        self.models = ["toy"]
        self.logged: list[dict[str, Any]] = []
        self.event_times: list[str | None] = []
        self.outcomes: list[dict[str, Any]] = []
        self.unknown_ids: set[str] = set()
        self.canary_keys: set[str] = set()
        self.early_ids: set[str] = set()
        self.max_outcomes = 10_000
        self.asked: list[str] = []
        self.credentials: list[str | None] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        """For `httpx.MockTransport`."""
        self.asked.append(f"{request.method} {request.url.path}")
        self.credentials.append(request.headers.get("authorization"))
        if self.unreachable:
            return refused_connection(request)
        if request.url.path == "/v2/repository/index":
            return httpx.Response(200, json=[{"name": name, "version": self.version} for name in self.models])
        if request.method == "POST" and self.script:
            return self.script.pop(0)(request)
        return self.usual_answer(request)

    def usual_answer(self, request: httpx.Request) -> httpx.Response:
        """What the server answers if nothing is wrong."""
        if request.url.path == "/predict":
            return self._predict(orjson.loads(request.content))
        if request.url.path == "/outcomes":
            return self._take(orjson.loads(request.content)["outcomes"])
        name = request.url.path.rpartition("/")[2]
        return httpx.Response(200, json={"name": name, "versions": [self.version], "inputs": self.inputs})

    def lose_answer(self, request: httpx.Request) -> httpx.Response:
        """Do the work; then the connection breaks."""
        self.usual_answer(request)
        raise httpx.ReadError("connection reset", request=request)

    def _predict(self, body: dict[str, Any]) -> httpx.Response:
        self.event_times += [body.get("event_time")]
        canary = (
            {"version": CANARY, "generation": 4, "slot": "canary"}
            if body.get("key") in self.canary_keys
            else {}
        )
        first = len(self.logged)
        self.logged += body["rows"]
        items = [{"prediction_id": f"id{first + place}", "score": 0.5} for place in range(len(body["rows"]))]
        reply = {"model": body["model"], "version": self.version, "generation": 3, "predictions": items}
        return httpx.Response(200, json=reply | canary)

    def _take(self, outcomes: list[dict[str, Any]]) -> httpx.Response:
        if len(outcomes) > self.max_outcomes:
            return httpx.Response(413, json={"error": "too many", "expected": f"{self.max_outcomes}"})
        for row, outcome in enumerate(outcomes):
            if outcome["prediction_id"] in self.unknown_ids:
                return httpx.Response(404, json={"error": "names no prediction", "row": row})
        early = [row for row, outcome in enumerate(outcomes) if outcome["prediction_id"] in self.early_ids]
        if early:
            return httpx.Response(503, json={"error": "model slow is not loaded", "rows": early})
        self.outcomes += outcomes
        return httpx.Response(202, json={"accepted": len(outcomes)})
