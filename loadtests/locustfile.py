"""Locust profiles for a deployment of one's own.

    locust -f loadtests/locustfile.py --headless --host http://127.0.0.1:8000 --load-profile steady
    locust -f loadtests/locustfile.py --headless --host http://127.0.0.1:8000 --load-profile burst --rows 64

Rows are made up from what the server says about the model, so no other preparation is needed. Every answer is checked:
it must name a version, a generation and one prediction per row; anything else counts as a failure. One request in ten
posts the outcomes of the last answer. Where anonymous access is off, `HOMEOSTAT_API_KEY` is sent; the key needs the role client.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

from locust import FastHttpUser, LoadTestShape, between, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from shared.access.client_key import find_client_key

PROFILES: dict[str, tuple[tuple[float, int, float], ...]] = {
    # (seconds, users, users started a second), one after the other
    "steady": ((60, 20, 5), (240, 20, 5)),
    "burst": ((30, 5, 5), (20, 100, 100), (40, 5, 100), (20, 200, 200), (40, 5, 200)),
}


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument(
        "--load-profile", choices=sorted(PROFILES), default="steady", help="shape of the load over time"
    )
    parser.add_argument("--model", default="", help="model to ask; empty: the first one served")
    parser.add_argument("--rows", type=int, default=1, help="rows in a request")
    parser.add_argument("--speed", type=float, default=1.0, help="plays the profile this many times as fast")


class Profile(LoadTestShape):
    """Plays the stages of the profile that was chosen."""

    def tick(self) -> tuple[int, float] | None:
        """How many users there should be now; None when the profile is over."""
        options = self.runner.environment.parsed_options if self.runner else None
        name, speed = (options.load_profile, options.speed) if options else ("steady", 1.0)
        elapsed = self.get_run_time() * speed  # type: ignore[no-untyped-call]
        for seconds, users, rate in PROFILES[name]:
            if elapsed < seconds:
                return users, rate
            elapsed -= seconds
        return None


class Caller(FastHttpUser):
    """Asks for predictions as an application would, and now and then knows the truth."""

    wait_time = between(0.0, 0.02)
    connection_timeout = 10.0
    network_timeout = 30.0

    def __init__(self, environment: Environment) -> None:
        # Read by the superclass.
        if key := find_client_key(Path(), os.environ).given:
            self.default_headers = {"Authorization": f"Bearer {key}"}
        super().__init__(environment)
        self.model = ""
        self.metadata: dict[str, Any] = {}
        self.known: list[str] = []

    def on_start(self) -> None:
        """Learn what is served, and what its rows look like."""
        options = self.environment.parsed_options
        models = self.client.post("/v2/repository/index", json={}, name="/v2/repository/index").json()
        served = [model["name"] for model in models if model["version"]]
        if not served:
            raise RuntimeError(f"{self.host} serves no model; release one with `homeostat deploy`")
        self.model = options.model or served[0]
        self.metadata = self.client.get(f"/v2/models/{self.model}", name="/v2/models/{model}").json()

    @task(9)
    def predict(self) -> None:
        """Rows in, as many predictions out."""
        count = self.environment.parsed_options.rows
        body = {"model": self.model, "rows": [self._row() for _ in range(count)]}
        with self.client.post("/predict", json=body, catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure(f"{answer.status_code}: {(answer.text or '')[:200]}")
                return
            reply = answer.json()
            if not (reply["version"] and reply["generation"] and len(reply["predictions"]) == count):
                answer.failure("the answer lacks a version, a generation or a prediction")
            self.known = [item["prediction_id"] for item in reply["predictions"]]

    @task(1)
    def outcome(self) -> None:
        """The truth about what was asked last."""
        if self.known:
            items = [{"prediction_id": identity, "value": random.randint(0, 1)} for identity in self.known]
            self.client.post("/outcomes", json={"outcomes": items})

    def _row(self) -> dict[str, Any]:
        return {feature["name"]: _value(feature) for feature in self.metadata["inputs"]}


def _value(feature: dict[str, Any]) -> Any:
    """A value the server will take. `parameters` of an input carry the manifest's allowed values and range."""
    about = feature.get("parameters", {})
    if feature["datatype"] == "BYTES":
        return random.choice(about["values"].split("\n"))
    if feature["datatype"] == "BOOL":
        return random.random() < 0.5
    low, high = about.get("minimum", 0.0), about.get("maximum", 1.0)
    if feature["datatype"] == "INT64":
        return random.randint(int(low), max(int(low), int(high)))
    return _numbers(feature["shape"][1:], low, high)


def _numbers(shape: list[int], low: float, high: float) -> Any:
    if not shape:
        return round(random.uniform(low, high), 3)
    return [_numbers(shape[1:], low, high) for _ in range(shape[0])]
