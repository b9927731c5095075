"""`key` of a request on every route that takes one: what the log holds of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.inference.models.input_schema import Batch
from services.inference.prediction.call import Call
from services.inference.prediction.call_group import CallGroup
from shared.contracts.prediction_id import PredictionIds
from shared.personal_data.pseudonyms import Pseudonyms
from shared.spool.encoding import encode_predictions
from shared.spool.record import PREFIX, PredictionRecord, decode
from tests.fakes.path_pair import rows_of
from tests.fakes.personal_model import NAMES, personal_loop, put_personal
from tests.fakes.socket_server import SocketServer, request
from tests.fakes.toy_model import ToyStore

KEY = "canary-key-1"
ROW = {"customer": "anna", "note": None, "age": None, "amount": 2.0}
_KINDS = {"customer": "BYTES", "note": "BYTES", "age": "FP32", "amount": "FP32"}
_INPUTS = [
    {"name": name, "shape": [1], "datatype": _KINDS[name], "data": [{**ROW, "note": "-", "age": 1}[name]]}
    for name in NAMES
]
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "predict": ("/predict", {"model": "loans", "rows": [ROW], "key": KEY}),
    "infer": ("/v2/models/loans/infer", {"inputs": _INPUTS, "parameters": {"key": KEY}}),
    "mlflow": ("/invocations", {"dataframe_records": [ROW], "params": {"model": "loans", "key": KEY}}),
}


def serve(home: Path, personal: Any) -> Iterator[dict[str, SocketServer]]:
    toys = ToyStore(home)
    toys.release(put_personal(toys, loop=personal_loop(key={"personal": personal})).version, model="loans")
    servers = {name: SocketServer(toys, fast=name == "fast") for name in ("ordinary", "fast")}
    yield servers
    for server in servers.values():
        server.stop()


@pytest.fixture(scope="module", params=["pseudonym", False, "drop"])
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str | None, dict[str, SocketServer]]]:
    home = tmp_path_factory.mktemp("home")
    for found in serve(home, request.param):
        names = Pseudonyms.read(home / "keys" / "pseudonyms.key")
        yield {"pseudonym": names.of(KEY), False: KEY, "drop": None}[request.param], found


@pytest.mark.parametrize("name", BODIES)
def test_key_is_logged_as_loop_yaml_says(
    servers: tuple[str | None, dict[str, SocketServer]], name: str
) -> None:
    wanted, found = servers
    path, body = BODIES[name]
    for server in found.values():
        for _ in range(2):  # the second one by the fast path, where there is one
            server.spool.predictions.clear()
            (answer,) = server.exchange(request(path, json.dumps(body).encode()))
            assert b" 200 " in answer[:20], answer
            keys = [row["key"] for record in server.spool.predictions for row in rows_of(record)]
            assert keys == [wanted]


def test_key_that_is_none_is_refused_without_showing_it(
    servers: tuple[str | None, dict[str, SocketServer]],
) -> None:
    for server in servers[1].values():
        body = {"model": "loans", "rows": [ROW], "key": "canary" * 100}
        (answer,) = server.exchange(request("/predict", json.dumps(body).encode()))
        assert b" 400 " in answer[:20]
        assert b"canary" not in answer
        assert b"`key` has 600 characters" in answer


@dataclass
class FakeServable:
    model: str = "loans"
    classes: int = 0
    scores: bool = True
    is_vector: bool = False

    def stored_key(self, key: str | None) -> str | None:
        return None if key is None else key.upper()


def test_rows_that_were_answered_together_keep_their_keys() -> None:
    servable: Any = FakeServable()
    calls = [Call(servable, rows, lambda *_: None, key=key) for rows, key in ((2, "a"), (1, None), (1, "b"))]
    batch = Batch(4, {}, {"amount": [1.0, 2.0, 3.0, 4.0]})
    group = CallGroup.of(calls, [batch], np.array([1, 2, 3, 4], np.float32))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    ids = group.take_ids(PredictionIds(b"k" * 32))
    (record,) = group.records(ids, now)
    assert record.keys == ["A", "A", None, "B"]
    encoded = encode_predictions(
        model="loans",
        version="v",
        generation=1,
        event_time=now,
        answered_at=now,
        prediction_ids=list(ids),
        scores=record.scores,
        columns=batch.columns,
        keys=record.keys,
    )
    read = decode(PREFIX.pack(0, len(encoded.head)) + encoded.head)
    assert isinstance(read, PredictionRecord)
    assert read.keys == ["A", "A", None, "B"]
