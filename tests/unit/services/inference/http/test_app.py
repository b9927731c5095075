"""All routes together, in memory: real engine and loader, a spool with a memory."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import httpx
import numpy as np
import pytest
import structlog

from services.inference.status.page import CONTENT_SECURITY_POLICY
from tests.fakes.inference_server import IDS, InferenceServer
from tests.fakes.toy_model import ROW, ToyStore
from tests.waiting import bound


@pytest.fixture
def installation(toys: ToyStore) -> InferenceServer:
    toys.put_and_release(0.5, kind="probability")
    return InferenceServer(toys)


def test_response_and_log_agree(installation: InferenceServer) -> None:
    answer = installation.predict(ROW, ROW, event_time="2026-01-01T00:00:00Z").json()
    (record,) = installation.spool.predictions
    assert (answer["model"], answer["version"], answer["generation"]) == (
        "toy",
        record["version"],
        record["generation"],
    )
    assert [row["prediction_id"] for row in answer["predictions"]] == record["prediction_ids"]
    assert [row["score"] for row in answer["predictions"]] == record["scores"]
    assert all(IDS.is_ours(identity, "toy") for identity in record["prediction_ids"])
    assert record["columns"]["colour"] == ["red", "red"]


def test_predictions_continue_with_full_spool(installation: InferenceServer) -> None:
    installation.spool.full = True
    with structlog.testing.capture_logs() as lines:
        answer = installation.predict(ROW, ROW)
    assert answer.status_code == 200
    assert [line for line in lines if line["event"] == "rows_dropped"] == [
        {
            "event": "rows_dropped",
            "log_level": "warning",
            "kind": "predictions",
            "model": "toy",
            "prediction_id": answer.json()["predictions"][0]["prediction_id"],
            "rows": 2,
        }
    ]
    assert (
        installation.sample("homeostat_inference_spool_dropped_rows_total", kind="predictions", model="toy")
        == 2
    )
    assert installation.ask("GET", "/status.json").json()["spool"]["dropped"] == {"predictions": {"toy": 2}}


def test_predictions_that_cannot_be_logged_are_refused_where_that_is_set(
    installation: InferenceServer,
) -> None:
    installation.recorder.refuses = True
    assert installation.predict(ROW).status_code == 200
    installation.spool.full = True
    answer = installation.predict(ROW, ROW)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "the spool is full" in answer.json()["error"]
    assert (
        installation.sample("homeostat_inference_spool_dropped_rows_total", kind="predictions", model="toy")
        == 2
    )
    installation.spool.full = False
    assert installation.predict(ROW).status_code == 200


def test_full_spool_refuses_outcomes(installation: InferenceServer) -> None:
    identity = installation.predict(ROW).json()["predictions"][0]["prediction_id"]
    installation.spool.full = True
    answer = installation.ask("POST", "/outcomes", json={"prediction_id": identity, "value": 1})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{", 400, "body"),
        (b"[]", 400, "body"),
        (b'{"rows": 1}', 400, "rows"),
        (b"{}", 400, "rows"),
        (b'{"rows": [], "x": 1}', 400, "x"),
        (b'{"rows": []}', 400, "rows"),
        (b'{"rows": [{}], "model": 1}', 400, "model"),
        (b'{"rows": [{}]}', 422, "count"),
        (
            b'{"rows": [{"count": 1, "member": true, "colour": "red"}], "event_time": "now"}',
            422,
            "event_time",
        ),
        (
            b'{"rows": [{"count": 1, "member": true, "colour": "red"}], "event_time": "2026-01-05T10:00:00"}',
            422,
            "event_time",
        ),
        (
            b'{"rows": [{"count": 1, "member": true, "colour": "red"}], "event_time": "2999-01-01T00:00:00Z"}',
            422,
            "event_time",
        ),
        (
            b'{"rows": [{"count": 1, "member": true, "colour": "red"}], "event_time": "0001-01-01T00:00:00Z"}',
            422,
            "event_time",
        ),
    ],
)
def test_bad_request_names_the_field(
    installation: InferenceServer, body: bytes, status: int, field: str
) -> None:
    answer = installation.ask("POST", "/predict", content=body)
    assert (answer.status_code, answer.json()["field"]) == (status, field)
    assert answer.json()["error"]
    assert installation.spool.predictions == []
    assert installation.sample("homeostat_inference_errors_total", status=str(status)) == 1


def test_too_many_rows_are_refused(toys: ToyStore) -> None:
    toys.put_and_release(1.0)
    installation = InferenceServer(toys, maximum_rows=2)
    assert installation.predict(ROW, ROW).status_code == 200
    assert installation.predict(ROW, ROW, ROW).status_code == 413


@pytest.mark.parametrize(
    ("item", "status", "field"),
    [
        ({"prediction_id": "x", "value": 1}, 404, "prediction_id"),
        ({"value": 1}, 422, "prediction_id"),
        ({"prediction_id": "OURS", "value": "1"}, 422, "value"),
        ({"prediction_id": "OURS", "value": True}, 422, "value"),
        ({"prediction_id": "OURS", "value": 1.5}, 422, "value"),
        ({"prediction_id": "OURS", "value": 0.5}, 422, "value"),
        ({"prediction_id": "OURS"}, 422, "value"),
        ({"prediction_id": "OURS", "value": 1, "observed_at": "soon"}, 422, "observed_at"),
        ({"prediction_id": "OURS", "value": 1, "observed_at": "2999-01-01T00:00:00Z"}, 422, "observed_at"),
        ({"prediction_id": "OURS", "value": 1, "observed_at": "1970-01-01T00:00:00Z"}, 422, "observed_at"),
        ({"prediction_id": "OURS", "value": 1, "extra": 1}, 400, "extra"),
        ([], 400, "outcomes"),
    ],
)
def test_bad_outcome_names_its_row(installation: InferenceServer, item: Any, status: int, field: str) -> None:
    ours = IDS.make("toy")
    bad = (
        {**item, "prediction_id": ours}
        if isinstance(item, dict) and item.get("prediction_id") == "OURS"
        else item
    )
    answer = installation.ask(
        "POST", "/outcomes", json={"outcomes": [{"prediction_id": ours, "value": 0}, bad]}
    )
    assert (answer.status_code, answer.json()["field"], answer.json()["row"]) == (status, field, 1)
    assert installation.spool.outcomes == []


def test_outcomes_of_several_models(toys: ToyStore) -> None:
    toys.put_and_release(1.0)
    toys.put_and_release(1.0, model="other")
    installation = InferenceServer(toys)
    items = [{"prediction_id": IDS.make(model), "value": 7} for model in ("toy", "other", "toy")]
    assert installation.ask("POST", "/outcomes", json={"outcomes": items}).json() == {"accepted": 3}
    counts = {record["model"]: len(record["prediction_ids"]) for record in installation.spool.outcomes}
    assert counts == {"toy": 2, "other": 1}


def test_outcomes_before_model_is_loaded_get_503(toys: ToyStore) -> None:
    toys.put_and_release(1.0)
    toys.put_and_release(1.0, model="other")
    installation = InferenceServer(toys, only=("toy",))
    items = [{"prediction_id": IDS.make(model), "value": 7} for model in ("toy", "other")]
    answer = installation.ask("POST", "/outcomes", json={"outcomes": items})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "model other is not loaded" in answer.json()["error"]
    assert installation.spool.outcomes == []
    nobodys = {"prediction_id": IDS.make("nobody"), "value": 7}
    assert installation.ask("POST", "/outcomes", json=nobodys).status_code == 404


def test_live_but_not_ready_without_model(toys: ToyStore) -> None:
    installation = InferenceServer(toys)
    assert installation.ask("GET", "/v2/health/live").json() == {"live": True}
    assert installation.ask("GET", "/v2/health/ready").status_code == 503
    assert installation.predict(ROW).status_code == 503
    assert (
        installation.ask("POST", "/outcomes", json={"prediction_id": IDS.make("toy"), "value": 1}).status_code
        == 503
    )
    assert "No model yet" in installation.ask("GET", "/status").text


def test_model_that_cannot_be_loaded_is_said_and_makes_nothing_unready(toys: ToyStore) -> None:
    toys.put_and_release(1.0, model="broken", raw=b"no model")
    installation = InferenceServer(toys)
    assert installation.ask("GET", "/health/ready").status_code == 503
    toys.put_and_release(1.0)
    installation = InferenceServer(toys)
    assert installation.ask("GET", "/health/ready").json() == {"ready": True}
    assert installation.sample("homeostat_inference_model_served", model="toy") == 1
    assert installation.sample("homeostat_inference_model_served", model="broken") == 0
    assert installation.sample("homeostat_inference_release_failed", model="broken") == 1
    assert not installation.ask("GET", "/v2/models/broken/ready").json()["ready"]


def test_concurrency_limit_returns_503(toys: ToyStore) -> None:
    toys.put_and_release(1.0)
    installation = InferenceServer(toys, maximum_in_flight=2, inline_seconds=0)
    servable = installation.slots.peek("toy")
    assert servable is not None
    quick = servable.run

    def slow(batch: Any) -> Any:
        time.sleep(0.3)
        return quick(batch)

    servable.run = slow  # type: ignore[method-assign]
    calls = [lambda client: client.post("/predict", json={"rows": [ROW]}) for _ in range(4)]
    answers = installation.ask_together(*calls, lambda client: client.get("/health/live"))
    assert sorted(answer.status_code for answer in answers[:4]) == [200, 200, 503, 503]
    assert answers[4].status_code == 200
    assert installation.predict(ROW).status_code == 200


@pytest.mark.parametrize("is_ending", [True, False])
def test_request_that_the_end_of_the_server_cancels_gets_503(toys: ToyStore, is_ending: bool) -> None:
    toys.put_and_release(1.0)
    installation = InferenceServer(toys, inline_seconds=0)
    servable = installation.slots.peek("toy")
    assert servable is not None
    called, ends = threading.Event(), threading.Event()

    def hangs(batch: Any) -> Any:
        called.set()
        assert ends.wait(bound(30))
        raise ValueError("it was cancelled long ago")

    servable.run = hangs  # type: ignore[method-assign]

    async def scene() -> httpx.Response:
        async with await installation.client() as client:
            request = asyncio.ensure_future(client.post("/predict", json={"rows": [ROW]}))
            await asyncio.to_thread(called.wait, bound(30))
            installation.drain.begun = is_ending
            request.cancel()
            try:
                return await request
            finally:
                ends.set()

    if is_ending:
        answer = asyncio.run(scene())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["error"] == "the server stopped before the request was answered"
    else:  # a deadline of BentoML's own path, which answers for itself
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(scene())
    assert servable.in_flight == 0


def test_swap_during_call_keeps_version(toys: ToyStore) -> None:
    first = toys.put_and_release(1.0)
    installation = InferenceServer(toys, inline_seconds=0)
    servable = installation.slots.peek("toy")
    assert servable is not None
    quick = servable.run

    def swap_meanwhile(batch: Any) -> Any:
        toys.put_and_release(2.0)
        installation.poller.poll()
        return quick(batch)

    servable.run = swap_meanwhile  # type: ignore[method-assign]
    answer = installation.predict(ROW).json()
    assert (answer["version"], answer["generation"], answer["predictions"][0]["score"]) == (
        first.version,
        1,
        1.0,
    )
    assert installation.predict(ROW).json()["generation"] == 2


def test_unknown_error_shows_only_its_id(installation: InferenceServer) -> None:
    servable = installation.slots.peek("toy")
    assert servable is not None
    servable.run = lambda batch: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    answer = installation.predict(ROW)
    assert answer.status_code == 500
    assert "division" not in answer.text
    assert (
        installation.sample(
            "homeostat_inference_request_duration_seconds_count",
            model="toy",
            version=servable.version_short,
            outcome="failed",
        )
        == 1
    )


def test_trace_context_is_logged_if_valid(installation: InferenceServer) -> None:
    good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for header in (good, "nonsense"):
        installation.ask("POST", "/predict", json={"rows": [ROW]}, headers={"traceparent": header})
    assert [record["traceparent"] for record in installation.spool.predictions] == [good, ""]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 200),
        ({"count": {"name": "count", "datatype": "FP32", "shape": [1], "data": [1]}}, 422),
        ({"count": {"name": "count", "datatype": "INT64", "shape": [1, 2], "data": [1, 2]}}, 422),
        ({"count": {"name": "count", "datatype": "INT64", "shape": [1], "data": [True]}}, 422),
        ({"count": {"name": "count", "datatype": "UINT8", "shape": [1], "data": [200]}}, 200),
        ({"count": {"name": "count", "datatype": "UINT8", "shape": [1], "data": [300]}}, 422),
        ({"count": {"name": "count", "datatype": "UINT64", "shape": [1], "data": [2**63 - 1]}}, 200),
        ({"count": {"name": "count", "datatype": "UINT64", "shape": [1], "data": [2**63]}}, 422),
        ({"amount": {"name": "amount", "datatype": "FP16", "shape": [1], "data": [65520]}}, 422),
        ({"count": {"name": "other", "datatype": "INT64", "shape": [1], "data": [1]}}, 422),
        ({"colour": {"name": "colour", "datatype": "BYTES", "shape": [1], "data": ["blue"]}}, 422),
        ({"amount": {"name": "amount", "datatype": "FP32", "shape": [1], "data": [None]}}, 200),
    ],
)
def test_infer_is_validated_like_predict(
    installation: InferenceServer, change: dict[str, Any], status: int
) -> None:
    tensors = {
        "amount": {"name": "amount", "datatype": "FP32", "shape": [1, 1], "data": [1.5]},
        "count": {"name": "count", "datatype": "INT64", "shape": [1], "data": [1]},
        "member": {"name": "member", "datatype": "BOOL", "shape": [1], "data": [True]},
        "colour": {"name": "colour", "datatype": "BYTES", "shape": [1], "data": ["red"]},
    }
    answer = installation.ask(
        "POST", "/v2/models/toy/infer", json={"inputs": [*{**tensors, **change}.values()]}
    )
    assert answer.status_code == status, answer.text
    if status == 200:
        assert answer.json()["outputs"][0]["data"] == [0.5]
        assert answer.json()["outputs"][1]["data"] == installation.spool.predictions[-1]["prediction_ids"]
    else:
        assert "error" in answer.json()


@pytest.mark.parametrize(
    ("tensor", "problem"),
    [
        (
            {"name": "count", "datatype": "FP32", "shape": [1], "data": [1]},
            "input count has datatype FP32, but feature count is of type integer; expected datatype INT64 "
            "(or INT8, INT16, INT32, UINT8, UINT16, UINT32, UINT64)",
        ),
        (
            {"name": "colour", "datatype": "INT64", "shape": [1], "data": [1]},
            "input colour has datatype INT64, but feature colour is of type category; expected datatype BYTES",
        ),
        (
            {"name": "count", "datatype": "UINT8", "shape": [1], "data": [300]},
            "input count contains 300, which is not a UINT8; expected values of datatype UINT8, as the input declares",
        ),
    ],
)
def test_datatype_errors_name_input_and_both_datatypes(
    installation: InferenceServer, tensor: dict[str, Any], problem: str
) -> None:
    tensors = {one["name"]: one for one in INFER["inputs"]} | {tensor["name"]: tensor}
    answer = installation.ask("POST", "/v2/models/toy/infer", json={"inputs": [*tensors.values()]})
    assert (answer.status_code, answer.json()["error"]) == (422, problem)


def test_half_floats_are_numbers(installation: InferenceServer) -> None:
    tensors = [one for one in INFER["inputs"] if one["name"] != "amount"]
    for datatype, raw in {"FP16": np.array([1.5], "<f2").tobytes(), "BF16": b"\xc0\x3f"}.items():
        tensor = {"name": "amount", "datatype": datatype, "shape": [1], "parameters": {"binary_data_size": 2}}
        head = json.dumps({"inputs": [*tensors, tensor]}).encode()
        answer = installation.ask(
            "POST",
            "/v2/models/toy/infer",
            content=head + raw,
            headers={"Inference-Header-Content-Length": str(len(head))},
        )
        assert answer.status_code == 200, answer.text
        assert installation.spool.predictions[-1]["columns"]["amount"] == [1.5]


def test_infer_bounds_event_time_like_predict(installation: InferenceServer) -> None:
    tensor = {"name": "count", "datatype": "INT64", "shape": [1], "data": [1]}
    body = {"parameters": {"event_time": "2999-01-01T00:00:00Z"}, "inputs": [tensor]}
    answer = installation.ask("POST", "/v2/models/toy/infer", json=body)
    assert answer.status_code == 422
    assert "event_time" in answer.json()["error"]


def test_infer_by_version(installation: InferenceServer) -> None:
    version = installation.slots.current()[0].version
    for name in (version, version[:12]):
        assert installation.ask("GET", f"/v2/models/toy/versions/{name}/ready").json()["ready"] is True
    answer = installation.ask("POST", f"/v2/models/toy/versions/{'0' * 64}/infer", json={})
    assert answer.status_code == 404
    assert version in answer.json()["error"]


def test_metric_labels_are_bounded(installation: InferenceServer) -> None:
    installation.predict(ROW)
    names = {
        label
        for metric in installation.registry.collect()
        for sample in metric.samples
        for label in sample.labels
    }
    assert names <= {"model", "version", "outcome", "status", "result", "device", "kind", "state", "le"} | {
        "precision",
        "runtime",
    }
    version = installation.slots.current()[0].version_short
    assert installation.sample("homeostat_inference_rows_total", model="toy", version=version) == 1
    assert np.isfinite(installation.sample("homeostat_inference_release_log_age_seconds") or 0.0)


def test_status_page_escapes_errors(toys: ToyStore) -> None:
    toys.put_and_release(1.0)
    installation = InferenceServer(toys)
    installation.poller._store_problem = "<script>alert(1)</script>"
    page = installation.ask("GET", "/status").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_status_page_blocks_other_scripts(installation: InferenceServer) -> None:
    headers = installation.ask("GET", "/status").headers
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")


def test_status_counts_requests_by_outcome(installation: InferenceServer) -> None:
    before = installation.ask("GET", "/status.json").json()
    assert before["requests"] == {
        "answered": 0,
        "refused": 0,
        "failed": 0,
        "in_flight": 0,
        "calls_queued": 0,
        "errors": {},
        "last_prediction_at": "",
        "seconds_since_prediction": None,
    }
    assert [message["level"] for message in before["messages"]] == ["info"]
    installation.predict(ROW, ROW)
    installation.predict({**ROW, "amount": "much"})
    installation.ask("GET", "/nothing")
    installation.ask("POST", "/predict", content=b"{")
    servable = installation.slots.peek("toy")
    assert servable is not None
    servable.run = lambda batch: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    installation.predict(ROW)
    after = installation.ask("GET", "/status.json").json()
    [model] = after["models"]
    assert model["requests"] == {"answered": 1, "refused": 1, "failed": 1}
    assert model["last_prediction_at"] == after["requests"]["last_prediction_at"] != ""
    assert 0 <= model["seconds_since_prediction"] < 60
    assert after["requests"]["errors"] == {"400": 1, "422": 1, "500": 1}
    assert (after["requests"]["answered"], after["requests"]["refused"]) == (1, 2)
    assert after["messages"] == []


def test_status_reports_failed_first_release(toys: ToyStore) -> None:
    toys.put_and_release(1.0, raw=b"no model")
    report = InferenceServer(toys).ask("GET", "/status.json").json()
    [message] = report["messages"]
    assert message["text"].startswith(
        "The newest release of toy cannot be loaded: model.onnx is not an ONNX model"
    )
    assert (report["models"][0]["version"], report["release_log"]["followed"]) == ("", ["toy"])


def test_wait_for_thread_is_measured(toys: ToyStore) -> None:
    toys.put_and_release(1.0)
    installation = InferenceServer(toys, inline_seconds=0)  # and two threads
    servable = installation.slots.peek("toy")
    assert servable is not None
    servable.batches = False
    quick, slept, seen = servable.run, 0.4, threading.Event()

    def slow(batch: Any) -> Any:
        assert seen.wait(bound(30))
        time.sleep(slept)
        return quick(batch)

    servable.run = slow  # type: ignore[method-assign]

    async def look(client: httpx.AsyncClient) -> httpx.Response:
        deadline = time.monotonic() + bound(20)
        while True:
            answer = await client.get("/status.json")
            requests = answer.json()["requests"]
            if (requests["in_flight"], requests["calls_queued"]) == (3, 1) or time.monotonic() > deadline:
                seen.set()
                return answer
            await asyncio.sleep(0.01)

    calls = [lambda client: client.post("/predict", json={"rows": [ROW] * 3}) for _ in range(3)]
    *answers, status = installation.ask_together(*calls, look)
    assert [answer.status_code for answer in answers] == [200] * 3
    assert (status.json()["requests"]["in_flight"], status.json()["requests"]["calls_queued"]) == (3, 1)
    assert installation.sample("homeostat_inference_calls_queued") == 0
    assert installation.predictor.queued() == 0
    labels = {"model": "toy", "version": servable.version_short, "device": "cpu"}
    assert installation.sample("homeostat_inference_call_duration_seconds_count", **labels) == 3
    assert (installation.sample("homeostat_inference_call_duration_seconds_sum", **labels) or 0) >= 3 * slept
    # Two began at once; the third had to wait until one of them was done.
    wait = "homeostat_inference_queue_duration_seconds"
    assert installation.sample(f"{wait}_count", model="toy") == 3
    assert (installation.sample(f"{wait}_sum", model="toy") or 0) >= 0.9 * slept
    longer = installation.sample(f"{wait}_bucket", model="toy", le="0.25")
    assert longer is not None
    assert longer <= 2


def test_inline_and_failed_calls_are_timed(
    installation: InferenceServer,
) -> None:
    installation.predict(ROW)
    servable = installation.slots.peek("toy")
    assert servable is not None
    servable.run = lambda batch: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    installation.predict(ROW)
    labels = {"model": "toy", "version": servable.version_short, "device": "cpu"}
    assert installation.sample("homeostat_inference_call_duration_seconds_count", **labels) == 2
    assert (
        installation.sample("homeostat_inference_queue_duration_seconds_bucket", model="toy", le="0.01") == 2
    )
    assert installation.sample("homeostat_inference_batch_rows_count", model="toy") == 1


@pytest.mark.parametrize("length", ["-5", "nine", "9" * 5000])
def test_head_length_that_is_no_length_is_refused(installation: InferenceServer, length: str) -> None:
    answer = installation.ask(
        "POST", "/v2/models/toy/infer", content=b"{}", headers={"Inference-Header-Content-Length": length}
    )
    assert answer.status_code == 400
    assert answer.json()["field"] == "Inference-Header-Content-Length"


INFER: dict[str, Any] = {
    "id": "1",
    "inputs": [
        {"name": "amount", "datatype": "FP32", "shape": [1], "data": [1.5]},
        {"name": "count", "datatype": "INT64", "shape": [1], "data": [1]},
        {"name": "member", "datatype": "BOOL", "shape": [1], "data": [True]},
        {"name": "colour", "datatype": "BYTES", "shape": [1], "data": ["red"]},
    ],
}


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        ({"model_name": "toy"}, 200),
        ({"model_name": None, "model_version": None}, 200),
        ({"model_name": "other"}, 400),
        ({"model_name": 1}, 400),
        ({"model_name": "toy", "model_version": "1"}, 404),
    ],
)
def test_infer_body_may_name_its_model(
    installation: InferenceServer, extra: dict[str, Any], status: int
) -> None:
    answer = installation.ask("POST", "/v2/models/toy/infer", json={**INFER, **extra})
    assert answer.status_code == status, answer.text


def test_infer_body_may_name_the_live_version(installation: InferenceServer) -> None:
    version = installation.ask("GET", "/v2/models/toy").json()["versions"][0]
    body = {**INFER, "model_name": "toy", "model_version": version}
    assert installation.ask("POST", "/v2/models/toy/infer", json=body).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/predict", "POST"),
        ("OPTIONS", "/predict", "POST"),
        ("DELETE", "/outcomes", "POST"),
        ("POST", "/status", "GET, HEAD"),
        ("POST", "/v2", "GET, HEAD"),
        ("PUT", "/v2/health/ready", "GET, HEAD"),
        ("POST", "/v2/models/toy", "GET, HEAD"),
        ("POST", "/v2/models/toy/ready", "GET, HEAD"),
        ("GET", "/v2/models/toy/infer", "POST"),
        ("HEAD", "/v2/models/toy/versions/1/infer", "POST"),
        ("POST", "/v2/models/toy/config", "GET, HEAD"),
        ("DELETE", "/v2/models/toy/stats", "GET, HEAD"),
        ("GET", "/v2/repository/index", "POST"),
    ],
)
def test_wrong_method_names_the_allowed_ones(
    installation: InferenceServer, method: str, path: str, allow: str
) -> None:
    answer = installation.ask(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)


@pytest.mark.parametrize("path", ["/v2/models/toy/trace/setting", "/v2/repository", "/v3", "/predict/"])
def test_unknown_path_is_404_for_every_method(installation: InferenceServer, path: str) -> None:
    assert [installation.ask(method, path).status_code for method in ("GET", "POST", "PUT")] == [404] * 3


def test_requests_of_one_iteration_do_not_reach_the_limit(toys: ToyStore) -> None:
    toys.put_and_release(1.0)
    installation = InferenceServer(toys, maximum_in_flight=2)
    answers = installation.ask_together(
        *[lambda client: client.post("/predict", json={"rows": [ROW]}) for _ in range(6)]
    )
    assert [answer.status_code for answer in answers] == [200] * 6
