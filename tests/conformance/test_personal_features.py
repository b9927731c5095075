"""Personal features on their way from a request, or from deployed rows, to what is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from services.inference.models.input_schema import Schema
from services.retraining.deployments.deployment_gate import judge
from shared.personal_data.pseudonyms import Pseudonyms
from tests.fakes.path_pair import rows_of
from tests.fakes.personal_model import NAMES, personal_loop, put_personal
from tests.fakes.socket_server import SocketServer, request
from tests.fakes.toy_model import ToyStore

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in cast:RuntimeWarning")

CUSTOMER, NOTE = "canary-7413", "canary-note-99"
ROW = {"customer": CUSTOMER, "note": NOTE, "age": 31.5, "amount": 2.0}


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> ToyStore:
    toys = ToyStore(tmp_path_factory.mktemp("home"))
    toys.release(put_personal(toys, value=CUSTOMER).version, model="loans")
    return toys


@pytest.fixture(scope="module")
def servers(toys: ToyStore) -> Iterator[dict[str, SocketServer]]:
    servers = {name: SocketServer(toys, fast=name == "fast") for name in ("ordinary", "fast")}
    yield servers
    for server in servers.values():
        server.stop()


def predict(server: SocketServer, rows: list[dict[str, Any]]) -> tuple[bytes, list[dict[str, Any]]]:
    """The answer, and the logged columns of the rows."""
    server.spool.predictions.clear()
    (answer,) = server.exchange(request("/predict", json.dumps({"model": "loans", "rows": rows}).encode()))
    logged = [row["columns"] for record in server.spool.predictions for row in rows_of(record)]
    return answer, logged


@pytest.mark.parametrize("count", [1, 3])
def test_both_paths_log_the_same_protected_values(
    toys: ToyStore, servers: dict[str, SocketServer], count: int
) -> None:
    pseudonym = Pseudonyms.read(toys.keys.pseudonyms).of(CUSTOMER)
    for name, server in servers.items():
        predict(server, [ROW])  # the fast path learns the headers of a connection's client
        before = server.ordinary_requests.count("/predict")
        answer, logged = predict(server, [ROW, {**ROW, "note": None, "age": None}][:count] * count)
        wanted = [
            {"customer": pseudonym, "note": "***", "age": None, "amount": 2.0},
            {"customer": pseudonym, "note": None, "age": None, "amount": 2.0},
        ]
        assert logged == wanted[: min(count, 2)] * count, name
        # The model has seen the age, and the pseudonym: its answer is 2 + 31.5 + 1000.
        assert b'"score":1033.5' in answer, name
        assert (server.ordinary_requests.count("/predict") == before) == (name == "fast")


def test_infer_requests_are_protected_alike(toys: ToyStore, servers: dict[str, SocketServer]) -> None:
    pseudonym = Pseudonyms.read(toys.keys.pseudonyms).of(CUSTOMER)
    kinds = {"customer": "BYTES", "note": "BYTES", "age": "FP32", "amount": "FP32"}
    inputs = [{"name": name, "shape": [1], "datatype": kinds[name], "data": [ROW[name]]} for name in NAMES]
    for name, server in servers.items():
        server.spool.predictions.clear()
        server.exchange(request("/v2/models/loans/infer", json.dumps({"inputs": inputs}).encode()))
        (record,) = server.spool.predictions
        assert [row["columns"] for row in rows_of(record)] == [
            {"customer": pseudonym, "note": "***", "age": None, "amount": 2.0}
        ], name


@pytest.mark.parametrize(
    "wrong", [{"customer": None}, {"customer": [CUSTOMER]}, {"note": [NOTE]}, {"age": NOTE}, {"age": 1e39}]
)
def test_errors_do_not_show_personal_values(servers: dict[str, SocketServer], wrong: dict[str, Any]) -> None:
    for server in servers.values():
        answer, logged = predict(server, [{**ROW, **wrong}])
        assert b" 422 " in answer[:20]
        assert b"canary" not in answer
        assert b"1e+39" not in answer
        assert not logged


def test_errors_of_other_forms_do_not_show_personal_values(servers: dict[str, SocketServer]) -> None:
    infer = [
        {"name": name, "shape": [1], "datatype": kind, "data": [value]}
        for name, kind, value in zip(
            NAMES, ("BYTES", "BYTES", "INT8", "FP32"), (CUSTOMER, NOTE, 77123, 1.0), strict=True
        )
    ]
    too_long = {"columns": ["customer", "note"], "data": [[CUSTOMER, NOTE, 77123]]}
    bodies: list[tuple[str, Any]] = [
        ("/v2/models/loans/infer", {"inputs": infer}),
        ("/invocations", {"dataframe_split": too_long}),
        ("/invocations", {"dataframe_split": {"columns": ["customer"], "data": CUSTOMER}}),
        ("/invocations", {"dataframe_split": {"columns": CUSTOMER, "data": []}}),
        ("/invocations", {"dataframe_split": [CUSTOMER]}),
        ("/invocations", {"dataframe_records": [CUSTOMER]}),
        ("/invocations", {"instances": [[CUSTOMER, NOTE, 77123, 1.0]]}),
        ("/invocations", {"inputs": {"customer": CUSTOMER}}),
        ("/invocations", {"inputs": CUSTOMER}),
        ("/invocations", {"instances": [ROW], "params": {"key": CUSTOMER, "kex": NOTE}}),
        ("/invocations", {"instances": [ROW], "params": [CUSTOMER]}),
        ("/predict", {"model": "loans", "rows": CUSTOMER}),
        ("/predict", {"model": "loans", "rows": {"customer": CUSTOMER}}),
    ]
    for server in servers.values():
        for path, body in bodies:
            (answer,) = server.exchange(request(path, json.dumps(body).encode()))
            assert b" 4" in answer[:12], (path, body)
            assert b"canary" not in answer, (path, answer)
            assert b"77123" not in answer, (path, answer)


def test_reference_has_no_raw_values(toys: ToyStore, tmp_path: Path) -> None:
    release = toys.store.live_release("loans")
    assert release is not None
    toys.store.get_version("loans", release.version, tmp_path / "version")
    reference = pq.read_table(tmp_path / "version" / "reference.parquet")
    pseudonym = Pseudonyms.read(toys.keys.pseudonyms).of(CUSTOMER)
    assert reference["customer"].unique().to_pylist() == [pseudonym]
    assert reference["note"].unique().to_pylist() == ["***"]
    assert reference["age"].null_count == reference.num_rows
    # Drift compares live scores with these, which the model gave with the raw ages: row + 40 + 1000.
    assert reference["score"].to_pylist()[:2] == [1040.0, 1041.0]


def test_version_that_needs_pseudonyms_is_not_served_without_their_key(toys: ToyStore) -> None:
    release = toys.store.live_release("loans")
    assert release is not None
    manifest = toys.store.manifest("loans", release.version)
    features = [feature for feature in manifest.features if feature.personal == "pseudonym"]
    with pytest.raises(ValueError, match="customer needs pseudonyms"):
        Schema(features)
    # What nobody may see needs no key.
    Schema([feature for feature in manifest.features if feature.is_unlogged])


def test_deployment_gate_is_not_applied_without_logged_values(toys: ToyStore) -> None:
    release = toys.store.live_release("loans")
    assert release is not None
    nothing: Any = None  # neither lake nor store is read
    judged = judge(nothing, toys.store.manifest("loans", release.version), release.version)
    assert judged.result is None
    assert judged.notes == ("the gate was not applied: the lake has no values of note, age (personal)",)


@pytest.mark.parametrize("level", ["suggest", "auto"])
def test_nothing_is_trained_on_values_that_are_not_logged(level: str) -> None:
    with pytest.raises(ValidationError, match="feature note has personal: mask"):
        personal_loop(automation=level)
