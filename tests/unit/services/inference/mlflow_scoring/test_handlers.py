"""MLflow's scoring protocol on a server in memory."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.inference.http.own_version import own_version
from tests.fakes.class_model import serving_classes
from tests.fakes.inference_server import IDS, InferenceServer
from tests.fakes.toy_model import ROW, ToyStore
from tests.fakes.vector_model import LINES, embedding_loop, serving, values_loop

RECORDS = {"dataframe_records": [ROW, {**ROW, "amount": None}]}


@pytest.fixture
def server(toys: ToyStore) -> InferenceServer:
    toys.put_and_release(0.25, kind="probability")
    return InferenceServer(toys, maximum_rows=3)


def invoke(server: InferenceServer, document: Any, path: str = "/invocations") -> httpx.Response:
    return server.ask("POST", path, json=document)


def test_answer_and_log_agree(server: InferenceServer) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = {**RECORDS, "params": {"event_time": "2026-01-01T00:00:00Z"}}
    answer = server.ask("POST", "/invocations", json=body, headers={"traceparent": trace}).json()
    [record] = server.spool.predictions
    assert answer == {
        "predictions": [0.25, 0.25],
        "prediction_ids": record["prediction_ids"],
        "model": "toy",
        "version": record["version"],
        "generation": 1,
    }
    assert record["scores"] == [0.25, 0.25]
    assert record["columns"]["amount"] == [1.5, None]
    assert record["event_time"].isoformat() == "2026-01-01T00:00:00+00:00"
    assert record["traceparent"] == trace
    outcome = {"prediction_id": answer["prediction_ids"][1], "value": 1}
    assert server.ask("POST", "/outcomes", json=outcome).status_code == 202
    assert server.sample("homeostat_inference_batch_rows_sum", model="toy") == 2


def test_csv_is_answered(server: InferenceServer) -> None:
    text = "amount,count,member,colour\n,2,True,red\n0.5,3,False,green\n"
    answer = server.ask(
        "POST", "/invocations", content=text, headers={"content-type": "text/csv; charset=UTF-8"}
    )
    assert answer.json()["predictions"] == [0.25, 0.25]
    assert server.spool.predictions[0]["columns"]["count"] == [2, 3]


def test_each_kind_has_its_predictions(toys: ToyStore) -> None:
    body = {"dataframe_split": {"columns": ["line"], "data": [[2], [0]]}}
    assert invoke(serving_classes(toys), body).json()["predictions"] == [
        {"label": "bird", "score": 0.625, "scores": {"cat": 0.125, "dog": 0.25, "bird": 0.625}},
        {"label": "cat", "score": 0.75, "scores": {"cat": 0.75, "dog": 0.125, "bird": 0.125}},
    ]
    path = "/endpoints/{}/invocations"
    answer = invoke(serving(toys, values_loop()), body, path.format("ranges")).json()
    assert answer["predictions"] == [
        {"low": 10.0, "mid": 20.0, "high": 40.0},
        {"low": 1.0, "mid": 2.0, "high": 4.0},
    ]
    answer = invoke(serving(toys, embedding_loop()), body, path.format("vectors")).json()
    assert answer["predictions"] == LINES[[2, 0]].tolist()


def test_one_of_several_models_is_named(toys: ToyStore) -> None:
    for model in ("toy", "other"):
        toys.put_and_release(0.25, model=model)
    server = InferenceServer(toys)
    refused = invoke(server, RECORDS)
    assert (refused.status_code, refused.json()["field"]) == (400, "model")
    assert "name it as `model` in `params`" in refused.json()["message"]
    for answer in (
        invoke(server, {**RECORDS, "params": {"model": "other"}}),
        invoke(server, RECORDS, "/endpoints/other/invocations"),
    ):
        assert answer.json()["model"] == "other"
        assert all(IDS.is_ours(identity, "other") for identity in answer.json()["prediction_ids"])
    differing = invoke(server, {**RECORDS, "params": {"model": "toy"}}, "/endpoints/other/invocations")
    assert (differing.status_code, differing.json()["field"]) == (400, "model")


@pytest.mark.parametrize(
    ("document", "status", "code", "field"),
    [
        ({"rows": [ROW]}, 400, "BAD_REQUEST", "rows"),
        ({"inputs": []}, 400, "BAD_REQUEST", "inputs"),
        ({"dataframe_records": [ROW] * 4}, 413, "BAD_REQUEST", "dataframe_records"),
        ({"inputs": [{**ROW, "colour": "blue"}]}, 422, "INVALID_PARAMETER_VALUE", "colour"),
        ({"inputs": [{**ROW, "size": 1}]}, 422, "INVALID_PARAMETER_VALUE", "size"),
        ({"inputs": [{"amount": 1}]}, 422, "INVALID_PARAMETER_VALUE", "count"),
        (
            {"inputs": [ROW], "params": {"event_time": "2999-01-01T00:00:00Z"}},
            422,
            "INVALID_PARAMETER_VALUE",
            "event_time",
        ),
    ],
)
def test_refusals_are_in_the_form_of_mlflow(
    server: InferenceServer, document: Any, status: int, code: str, field: str
) -> None:
    answer = invoke(server, document)
    assert (answer.status_code, answer.json()["error_code"], answer.json()["field"]) == (status, code, field)
    assert "; expected " in answer.json()["message"]
    assert "error" not in answer.json()
    assert server.spool.predictions == []
    assert server.sample("homeostat_inference_errors_total", status=str(status)) == 1


def test_unknown_model_is_named_with_the_known_ones(server: InferenceServer) -> None:
    answer = invoke(server, RECORDS, "/endpoints/zz/invocations")
    assert answer.status_code == 404
    assert answer.json() == {
        "error_code": "RESOURCE_DOES_NOT_EXIST",
        "message": "model 'zz' is not loaded; loaded models: toy",
    }


@pytest.mark.parametrize("kind", ["", "text/plain", "application/json; charset=latin-1", "application/jsonx"])
def test_other_content_types_are_refused(server: InferenceServer, kind: str) -> None:
    answer = server.ask("POST", "/invocations", content=b"{}", headers={"content-type": kind} if kind else {})
    assert (answer.status_code, answer.json()["field"]) == (415, "Content-Type")
    assert "application/json or text/csv" in answer.json()["message"]


def test_wrong_method_names_the_allowed_one(server: InferenceServer) -> None:
    for path, allow in {
        "/invocations": "POST",
        "/endpoints/toy/invocations": "POST",
        "/ping": "GET, HEAD",
    }.items():
        answer = server.ask("DELETE", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allow)
        assert answer.json()["error_code"] == "BAD_REQUEST"


def test_ping_is_503_until_a_model_is_loaded(toys: ToyStore) -> None:
    server = InferenceServer(toys)
    for path in ("/ping", "/health"):
        answer = server.ask("GET", path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
    toys.put_and_release(0.25)
    server.poller.poll()
    assert [server.ask(method, "/ping").status_code for method in ("GET", "HEAD")] == [200, 200]


def test_version_is_that_of_homeostat(server: InferenceServer) -> None:
    assert server.ask("GET", "/version").text == own_version()


def test_unknown_error_shows_only_its_id(server: InferenceServer) -> None:
    servable = server.slots.peek("toy")
    assert servable is not None
    servable.run = lambda batch: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    answer = invoke(server, RECORDS)
    assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")
    assert "division" not in answer.text
    assert answer.json()["error_id"] in answer.json()["message"]
