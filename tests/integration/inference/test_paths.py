"""The same requests through the path in front of BentoML and through BentoML's own: same status, body, headers and log."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from http.client import HTTPException, HTTPResponse
from random import Random
from typing import Any

import bentoml
import numpy as np
import pytest
from bentoml.exceptions import BentoMLException

from shared.spool import OutcomeRecord, PredictionRecord, Record
from shared.spool.reader import SpoolReader
from tests.fakes.class_model import put_classes
from tests.fakes.toy_model import ROW, ToyStore
from tests.fakes.vector_model import embedding_loop, put_vectors, values_loop
from tests.fuzz.payloads import FuzzRequest, Route
from tests.fuzz.payloads import request as hostile_request
from tests.integration.inference.conftest import ROOT, InferenceProcess

TIME = "2026-01-01T00:00:00Z"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
# What the two paths may differ in: BentoML names itself and the request, uvicorn the time.
OWN_HEADERS = {"server", "date", "x-bentoml-request-id", "x-bentoml-trace-id"}
Answer = tuple[int, bytes, list[tuple[str, str]]]


@pytest.fixture(scope="module")
def servers(toys: ToyStore) -> Iterator[tuple[InferenceProcess, InferenceProcess]]:
    """Two servers of the same models: ours in front, and BentoML's own path."""
    models = {
        "toy": toys.put(0.25, kind="probability").version,
        "animals": put_classes(toys).version,
        "ranges": put_vectors(toys, values_loop()).version,
        "vectors": put_vectors(toys, embedding_loop()).version,
    }
    for model, version in models.items():
        toys.release(version, model=model)
    limits: dict[str, Any] = {
        "HOMEOSTAT_INFERENCE_MAXIMUM_BODY_BYTES": "200000",
        "HOMEOSTAT_INFERENCE_MAXIMUM_ROWS": "300",
        "HOMEOSTAT_INFERENCE_RECEIVE_SECONDS": "2",
    }
    both = (
        InferenceProcess(toys.home, **limits),
        InferenceProcess(toys.home, HOMEOSTAT_INFERENCE_FAST_PATH="false", **limits),
    )
    try:
        for server in both:
            server.wait_live()
            for model, version in models.items():
                server.wait_served(version, model)
        yield both
    finally:
        for server in both:
            server.stop()


def send(server: InferenceProcess, request: FuzzRequest) -> Answer:
    """Send exactly these bytes on a connection of its own."""
    names = {name for name, _ in request.headers}
    lines = [
        f"{request.method} {request.target} HTTP/1.1".encode(),
        *(b": ".join(h) for h in request.headers),
    ]
    if b"content-length" not in names and (request.body or request.method == "POST"):
        lines.append(b"content-length: %d" % len(request.body))
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"\r\n".join([*lines, b"connection: close", b"", b""]) + request.body)
        response = HTTPResponse(connection, method=request.method)
        try:
            response.begin()
            return response.status, response.read(), response.getheaders()
        except (HTTPException, ConnectionError) as error:
            return 0, type(error).__name__.encode(), []


def comparable(answer: Answer) -> Answer:
    """The answer without what is new in every answer: ids, and headers that BentoML and uvicorn add."""
    status, body, headers = answer
    # Also in the outputs of tensors, in JSON or after their length in four bytes.
    body = re.sub(rb"\b[0-9a-v]{32}\b", b"ID", body)
    body = re.sub(rb'"error_id":"\w+"', b'"error_id":"ID"', body)
    kept = sorted((name.lower(), value) for name, value in headers if name.lower() not in OWN_HEADERS)
    if b"prediction_id" in body:
        kept = [header for header in kept if header[0] != "content-length"]
    return status, body, kept


def logged(server: InferenceProcess) -> list[dict[str, Any]]:
    """What the server has logged, without what is new in every record."""
    reader = SpoolReader(server.home / "spool" / server.status()["writer"])
    records: list[Record] = []
    while entries := reader.read():
        records += [entry.record for entry in entries]
    found = []
    for record in records:
        assert isinstance(record, PredictionRecord | OutcomeRecord)
        document = asdict(record)
        for name in ("answered_at", "received_at", "prediction_ids", "sequence"):
            document.pop(name, None)
        document["rows"] = len(record.prediction_ids)
        found.append({name: plain(value) for name, value in document.items()})
    return found


def plain(value: Any) -> Any:
    """Comparable values; a time that the server chose is `now`."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return "now" if abs(datetime.now(UTC) - value) < timedelta(hours=1) else value
    return value.tolist() if isinstance(value, np.ndarray) else str(value)


def post(
    path: str, document: object, *headers: tuple[bytes, bytes], body: bytes | None = None
) -> FuzzRequest:
    sent = json.dumps(document).encode() if body is None else body
    return FuzzRequest("POST", path, ((b"host", b"127.0.0.1"), *headers), sent)


TENSORS = [
    {"name": "amount", "datatype": "FP32", "shape": [2], "data": [1.5, None]},
    {"name": "count", "datatype": "INT64", "shape": [2, 1], "data": [[1], [2]]},
    {"name": "member", "datatype": "BOOL", "shape": [2], "data": [True, False]},
    {"name": "colour", "datatype": "BYTES", "shape": [2], "data": ["red", "green"]},
]
INFER = {"id": "1", "model_name": "toy", "parameters": {"event_time": TIME}, "inputs": TENSORS}
SPLIT = {"columns": list(ROW), "data": [list(ROW.values())] * 2}


def other_protocols() -> list[FuzzRequest]:
    """The Open Inference Protocol and MLflow's: JSON and binary, answers and refusals."""
    raw = {"name": "amount", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}}
    outputs = [{"name": "score", "parameters": {"binary_data": True}}, {"name": "prediction_id"}]
    head = json.dumps({**INFER, "inputs": [raw, *TENSORS[1:]], "outputs": outputs}).encode()
    length = (b"inference-header-content-length", b"%d" % len(head))
    as_json, as_csv = (b"content-type", b"application/json"), (b"content-type", b"text/csv")
    timed = {"model": "toy", "event_time": TIME}
    return [
        post("/v2/models/toy/infer", INFER),
        post("/v2/models/toy/infer", {**INFER, "outputs": [{"name": "score"}]}),
        post("/v2/models/toy/infer", None, length, body=head + np.array([1.5, 2], "<f4").tobytes()),
        post(
            "/v2/models/toy/infer", {**INFER, "parameters": {"event_time": TIME, "binary_data_output": True}}
        ),
        post("/v2/models/toy/infer", {**INFER, "inputs": [{**TENSORS[0], "datatype": "INT8"}, *TENSORS[1:]]}),
        post("/v2/models/toy/infer", {**INFER, "inputs": [{**TENSORS[1], "datatype": "FP32"}]}),
        post("/v2/models/nobody/infer", INFER),
        post("/v2/repository/index", {}),
        post("/v2/repository/models/toy/load", {}),
        post("/invocations", {"dataframe_split": SPLIT, "params": timed}, as_json),
        post("/endpoints/toy/invocations", {"inputs": [ROW], "params": timed}, as_json),
        post("/endpoints/toy/invocations", {"instances": [{**ROW, "colour": "blue"}]}, as_json),
        post("/endpoints/toy/invocations", None, as_csv, body=b"count,member,colour\n1,true,red\n"),
        post("/invocations", {"dataframe_split": SPLIT}),
        *(
            FuzzRequest("GET", path, ((b"host", b"127.0.0.1"),), b"")
            for path in (
                "/v2",
                "/v2/models/toy/config",
                "/v2/models/toy/infer",
                "/ping",
                "/version",
                "/invocations",
            )
        ),
    ]


def known_id(servers: tuple[InferenceProcess, InferenceProcess]) -> str:
    answer = servers[0].http.post("/predict", json={"model": "toy", "rows": [ROW]}).json()
    return str(answer["predictions"][0]["prediction_id"])


def declared(identity: str, class_id: str) -> list[FuzzRequest]:
    """One request of each kind of answer and of each refusal."""
    timed = {"model": "toy", "event_time": TIME, "rows": [ROW, {**ROW, "amount": None}]}
    outcome = {"prediction_id": identity, "value": 1, "observed_at": TIME}
    gzipped = gzip.compress(json.dumps(timed).encode())
    return [
        post("/predict", timed, (b"traceparent", TRACE.encode())),
        post("/predict", timed, (b"content-encoding", b"gzip"), body=gzipped),
        post("/predict", timed, (b"content-encoding", b"br")),
        post("/predict", timed, (b"content-type", b"multipart/form-data; boundary=x")),
        *(
            post("/predict", {"model": model, "event_time": TIME, "rows": [{"line": 1}, {"line": 0}]})
            for model in ("animals", "ranges", "vectors")
        ),
        post("/predict", {"rows": [ROW]}),
        post("/predict", {"model": "nobody", "rows": [ROW]}),
        post("/predict", {"model": "toy", "rows": [ROW] * 301}),
        post("/predict", {"model": "toy", "rows": [], "extra": 1}),
        post("/predict", {"model": "toy", "rows": [{**ROW, "amount": "much"}]}),
        post("/predict", None, body=b'{"rows": ['),
        post("/predict", None, body=b" " * 200_001),
        FuzzRequest("POST", "/predict", ((b"host", b"h"), (b"content-length", b"9")), b""),
        post("/outcomes", outcome),
        post(
            "/outcomes",
            {"outcomes": [outcome, {"prediction_id": class_id, "value": "dog", "observed_at": TIME}]},
        ),
        post("/outcomes", {"outcomes": [outcome, {"prediction_id": class_id, "value": "fish"}]}),
        post("/outcomes", {"prediction_id": "0" * 32, "value": 1}),
        post("/outcomes", {"outcomes": []}),
        *(
            FuzzRequest(method, path, ((b"host", b"127.0.0.1"),), b"")
            for method, path in (
                ("GET", "/predict"),
                ("PUT", "/outcomes"),
                ("DELETE", "/health/live"),
                ("HEAD", "/health/live"),
                ("GET", "/predict/"),
                ("GET", "/livez"),
                ("GET", "/healthz"),
                ("GET", "/readyz"),
                ("GET", "/health/ready"),
                ("GET", "/"),
                ("GET", "/nothing"),
                ("GET", "/static_content/swagger-ui.css"),
                ("GET", "/v2/models/toy"),
                ("GET", "/schema.json"),
                ("GET", "/docs.json"),
            )
        ),
    ]


def test_both_paths_answer_and_log_the_same(servers: tuple[InferenceProcess, InferenceProcess]) -> None:
    front, own = servers
    identity = known_id(servers)
    animals = {"model": "animals", "rows": [{"line": 2}]}
    class_id = front.http.post("/predict", json=animals).json()["predictions"][0]["prediction_id"]
    before = [len(logged(server)) for server in servers]
    statuses = []
    asked = [*declared(identity, class_id), *other_protocols()]
    for request in asked:
        answers = [send(server, request) for server in servers]
        assert comparable(answers[0]) == comparable(answers[1]), request
        statuses.append(answers[0][0])
    assert {200, 202, 307, 400, 404, 405, 413, 415, 422} <= set(statuses)
    logs = [logged(server)[start:] for server, start in zip(servers, before, strict=True)]
    assert logs[0] == logs[1]
    answered = [request for request, status in zip(asked, statuses, strict=True) if status == 200]
    # The second request with outcomes has those of two models: two records.
    predicting = ("/predict", "/infer", "/invocations")
    assert len(logs[0]) == sum(request.target.endswith(predicting) for request in answered) + 3
    served = {name.lower(): value for name, value in send(own, asked[0])[2]}
    assert {"server", "x-bentoml-request-id"} & set(served) == {"server"}
    assert served["server"] == "BentoML Service/homeostat-inference"


def test_both_paths_answer_hostile_requests_the_same(
    servers: tuple[InferenceProcess, InferenceProcess],
) -> None:
    identity = known_id(servers)
    outcome = {"prediction_id": identity, "value": 1, "observed_at": TIME}
    routes = (
        Route("POST", "/predict", {"model": "toy", "event_time": TIME, "rows": [ROW, ROW]}),
        Route("POST", "/predict", {"model": "ranges", "event_time": TIME, "rows": [{"line": 1}]}),
        Route("POST", "/outcomes", outcome),
        Route("POST", "/outcomes", {"outcomes": [outcome, outcome]}),
        Route("POST", "/v2/models/{}/infer", INFER, ("toy",)),
        Route(
            "POST", "/invocations", {"dataframe_split": SPLIT, "params": {"model": "toy", "event_time": TIME}}
        ),
    )
    before = [len(logged(server)) for server in servers]
    statuses: list[int] = []

    chance = Random(7)
    for _ in range(150):
        hostile = hostile_request(chance, routes)
        answers = [comparable(send(server, hostile)) for server in servers]
        assert answers[0] == answers[1], hostile
        statuses.append(answers[0][0])
    logs = [logged(server)[start:] for server, start in zip(servers, before, strict=True)]
    assert logs[0] == logs[1]
    assert statuses.count(200) > 10
    assert sum(400 <= status < 500 for status in statuses) > 30


def test_slow_body_is_refused_on_both_paths(servers: tuple[InferenceProcess, InferenceProcess]) -> None:
    connections = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for server in servers]
    for connection in connections:
        connection.sendall(
            b'POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"rows":'
        )
    for connection in connections:
        assert connection.recv(100).startswith(b"HTTP/1.1 408")
        connection.close()


@pytest.mark.parametrize("path", [0, 1], ids=["front", "own"])
def test_bentoml_client(servers: tuple[InferenceProcess, InferenceProcess], path: int) -> None:
    server = servers[path]
    with bentoml.SyncHTTPClient(server.url) as client:
        assert client.is_ready()
        answer = client.predict(rows=[ROW, ROW], model="toy", event_time=TIME)
        assert answer["version"] == server.served()["version"]
        identities = [row["prediction_id"] for row in answer["predictions"]]
        assert [row["score"] for row in answer["predictions"]] == [0.25, 0.25]
        assert client.predict([{"line": 1}], "animals")["predictions"][0]["label"] == "dog"
        outcomes = [{"prediction_id": identity, "value": 1} for identity in identities]
        assert client.outcomes(outcomes=outcomes) == {"accepted": 2}
        assert client.outcomes(prediction_id=identities[0], value=0, observed_at=TIME) == {"accepted": 1}
        with pytest.raises(BentoMLException, match="feature amount of row 0") as refused:
            client.predict(rows=[{**ROW, "amount": "much"}], model="toy")
        assert refused.value.error_code == 422
        with pytest.raises(TypeError, match="Arguments not found"):
            client.predict(rows=[ROW], modell="toy")


@pytest.mark.parametrize("path", [0, 1], ids=["front", "own"])
def test_bentoml_async_client(servers: tuple[InferenceProcess, InferenceProcess], path: int) -> None:
    async def ask() -> list[float]:
        async with bentoml.AsyncHTTPClient(servers[path].url) as client:
            answers = await asyncio.gather(*(client.predict(rows=[ROW], model="toy") for _ in range(4)))
            return [answer["predictions"][0]["score"] for answer in answers]

    assert asyncio.run(ask()) == [0.25] * 4


def test_bentoml_refuses_pickles_by_their_content_type(
    servers: tuple[InferenceProcess, InferenceProcess],
) -> None:
    """The one request that is answered differently."""
    request = post(
        "/predict", {"model": "toy", "rows": [ROW]}, (b"content-type", b"application/vnd.bentoml+pickle")
    )
    assert [send(server, request)[0] for server in servers] == [200, 415]


def test_block_of_the_documentation_runs(servers: tuple[InferenceProcess, InferenceProcess]) -> None:
    page = (ROOT / "docs" / "bentoml.md").read_text(encoding="utf-8")
    block = page.split("```python\n")[1].split("```")[0]
    before = len(logged(servers[0]))
    exec(block.replace("http://localhost:8000", servers[0].url).replace("flights", "toy"), {"row": ROW})
    assert len(logged(servers[0])) == before + 2


def test_pages_describe_every_method_and_answer(servers: tuple[InferenceProcess, InferenceProcess]) -> None:
    schema = servers[0].http.get("/schema.json").json()
    routes = {route["name"]: route for route in schema["routes"]}
    assert routes["predict"]["input"]["required"] == ["rows"]
    kinds = routes["predict"]["output"]["properties"]["predictions"]["items"]["oneOf"]
    assert [kind["title"] for kind in kinds] == [
        "ScoreAnswer",
        "ClassAnswer",
        "ValuesAnswer",
        "EmbeddingAnswer",
        "TensorAnswer",
    ]
    document = servers[0].http.get("/docs.json").json()
    statuses = document["components"]["schemas"]["TaskStatusResponse"]["properties"]["status"]["enum"]
    assert "canceled" in statuses
    for path, item in document["paths"].items():
        for method in item:
            for server in servers:
                assert server.http.request(method.upper(), path).status_code not in (404, 405, 500), path
