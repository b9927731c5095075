"""The real inference server under clients that never rest, and what they received: ids, scores and features of every answer."""

from __future__ import annotations

import itertools
import time
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import httpx
import pyarrow as pa

from shared.stores.lake import Lake
from tests.fakes.rows import NOON
from tests.fakes.toy_model import ROW, ToyStore
from tests.integration.inference.conftest import InferenceProcess
from tests.waiting import bound, eventually

_SCORE = 0.25
_ROWS = 3
_CLIENTS = 2
_LONG = timedelta(days=1)


class AskedServer:
    """One server at a time below `home`, to be killed and started again."""

    def __init__(self, home: Path, lake: Lake, model: str, **environment: str) -> None:
        """`environment`: settings of the server."""
        self.model = model
        self.refused_rows = 0
        self.refused_outcomes = 0
        self._environment = environment
        self.answered: dict[str, tuple[float, float]] = {}
        self.outcomes: set[str] = set()
        self.cut_requests: list[float] = []
        self._under_way: set[int] = set()
        self._home = home
        self._lake = lake
        self._numbers = itertools.count()
        ToyStore(home).put_and_release(_SCORE, model=model)

    def start(self) -> None:
        """Start a server; the clients ask from its first breath. Does not wait."""
        self._server = InferenceProcess(self._home, **self._environment)  # type: ignore[arg-type]
        self._stop = Event()
        self._before = len(self.answered)
        self._clients = [Thread(target=self._ask) for _ in range(_CLIENTS)]
        for client in self._clients:
            client.start()

    def wait_for_answers(self, requests: int = 5) -> None:
        """Wait until this server has answered so many."""
        self._server.wait_live()
        rows = self._before + requests * _ROWS
        self._server.wait(lambda: len(self.answered) >= rows, f"{requests} requests are answered", 120)

    def kill(self) -> None:
        """kill -9 of everything `bentoml serve` started, in the middle of a request."""
        eventually(lambda: self._under_way, "a request is under way", every_s=0.0005)
        self._server.kill()
        self._end_clients()
        self._server.http.close()

    def stop(self) -> None:
        """Let the clients finish and end the server."""
        self._end_clients()
        self._server.stop()

    def rows_in_lake(self) -> pa.Table:
        """What the lake has of the model."""
        return self._lake.read_predictions(
            self.model, NOON - _LONG, NOON + _LONG, ["prediction_id", "score", "f_amount"]
        )

    def all_answers_are_in_lake(self) -> bool:
        """Whether everything acknowledged to the clients has arrived."""
        outcomes = self._lake.read_outcomes(self.model, NOON, NOON + _LONG)["prediction_id"].to_pylist()
        return self.answered.keys() <= set(
            self.rows_in_lake()["prediction_id"].to_pylist()
        ) and self.outcomes <= set(outcomes)

    def check(self) -> None:
        """Answered = lake: each row once and as it was answered; beyond that only requests a kill cut off."""
        rows = self.rows_in_lake().to_pylist()
        lake = {row["prediction_id"]: (row["score"], row["f_amount"]) for row in rows}
        assert len(lake) == len(rows), "repeats in the lake"
        assert {identity: lake.get(identity) for identity in self.answered} == self.answered
        assert len(lake) - len(self.answered) <= _ROWS * len(self.cut_requests)
        stored = self._lake.read_outcomes(self.model, NOON, NOON + _LONG)["prediction_id"].to_pylist()
        assert len(stored) == len(set(stored)), "outcomes twice"
        assert self.outcomes <= set(stored)
        assert len(set(stored) - self.outcomes) <= len(self.cut_requests)

    def _end_clients(self) -> None:
        self._stop.set()
        for client in self._clients:
            client.join(bound(30))
            assert not client.is_alive()

    def _ask(self) -> None:
        with httpx.Client(timeout=bound(20)) as client:
            while not self._stop.is_set():
                try:
                    self._ask_once(client)
                except httpx.ConnectError:
                    time.sleep(0.05)  # not there yet, or not there any more
                except httpx.HTTPError:
                    # By a kill, or by a machine too busy to answer in time: the next request may be answered.
                    self.cut_requests.append(time.monotonic())
                    time.sleep(0.05)

    def _ask_once(self, client: httpx.Client) -> None:
        number = next(self._numbers)
        self._under_way.add(number)
        try:
            self._ask_for(number, client)
        finally:
            self._under_way.discard(number)
        time.sleep(0.005)

    def _ask_for(self, number: int, client: httpx.Client) -> None:
        amounts = [float((number + row) % 10) for row in range(_ROWS)]
        asked = {
            "model": self.model,
            "event_time": NOON.isoformat(),
            "rows": [{**ROW, "amount": amount} for amount in amounts],
        }
        answer = client.post(f"{self._server.url}/predict", json=asked)
        if answer.status_code == 503:  # not ready yet, or the spool is full
            self.refused_rows += _ROWS if "the spool is full" in answer.text else 0
            time.sleep(0.05)
            return
        answer.raise_for_status()
        answers = [(row["prediction_id"], row["score"]) for row in answer.json()["predictions"]]
        self.answered.update(
            (identity, (score, amount)) for (identity, score), amount in zip(answers, amounts, strict=True)
        )
        if number % 4 == 0:
            observed = (NOON + timedelta(hours=1)).isoformat()
            outcome = {"prediction_id": answers[0][0], "value": 1.0, "observed_at": observed}
            told = client.post(f"{self._server.url}/outcomes", json=outcome)
            if told.status_code == 503 and "the spool is full" in told.text:
                self.refused_outcomes += 1
                return
            told.raise_for_status()
            self.outcomes.add(answers[0][0])
