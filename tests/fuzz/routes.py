"""A valid example of every route of every service: those with a body or parameters by hand, the rest from the table of routes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from services.console.http.csrf import HEADER
from shared.access.route_table import ROUTES
from tests.fakes.toy_model import ROW
from tests.fuzz.payloads import Route

TIME = "2026-01-01T00:00:00Z"
_BOUNDARY = b"fuzz"


def inference_routes(version: str, prediction_ids: Sequence[str]) -> tuple[Route, ...]:
    """Those of a server that serves the model `toy`."""
    outcome = {"prediction_id": prediction_ids[0], "value": 1, "observed_at": TIME}
    tensors = [
        {"name": "amount", "datatype": "FP64", "shape": [2], "data": [1.5, 2]},
        {"name": "count", "datatype": "INT64", "shape": [2, 1], "data": [[1], [2]]},
        {"name": "member", "datatype": "BOOL", "shape": [2], "data": [True, False]},
        {"name": "colour", "datatype": "BYTES", "shape": [2], "data": ["red", "green"]},
    ]
    asked = {
        "id": "one",
        "parameters": {"event_time": TIME, "binary_data_output": False},
        "inputs": tensors,
        "outputs": [{"name": "score", "parameters": {"binary_data": False}}],
    }
    rows = {"model": "toy", "event_time": TIME, "rows": [ROW, ROW]}
    split = {"columns": list(ROW), "index": [0, 1], "data": [list(ROW.values())] * 2}
    csv = ",".join(ROW).encode() + b"\n1.5,2,true,red\n"
    content, binary = binary_tensors()
    model, exact = "/v2/models/{}", "/v2/models/{}/versions/{}"
    both = ("toy", version)
    return complete(
        "inference",
        [
            Route("POST", "/predict", rows, weight=4),
            Route("POST", "/outcomes", outcome),
            Route(
                "POST", "/outcomes", {"outcomes": [outcome, outcome | {"prediction_id": prediction_ids[-1]}]}
            ),
            Route("POST", f"{model}/infer", asked, ("toy",), weight=4),
            Route("POST", f"{exact}/infer", asked, both),
            Route(
                "POST",
                f"{model}/infer",
                None,
                ("toy",),
                headers=((b"inference-header-content-length", str(content).encode()),),
                content=binary,
                content_type=b"application/octet-stream",
                weight=2,
            ),
            Route("POST", "/v2/repository/index", {"ready": True}),
            Route(
                "POST",
                "/invocations",
                {"dataframe_split": split, "params": {"model": "toy", "event_time": TIME}},
            ),
            Route("POST", "/invocations", {"inputs": {name: [value] for name, value in ROW.items()}}),
            Route("POST", "/invocations", content=csv, content_type=b"text/csv"),
            Route("POST", "/endpoints/{}/invocations", {"instances": [ROW, ROW]}, ("toy",), weight=2),
            Route(
                "POST",
                "/score_file",
                content=upload(),
                content_type=b"multipart/form-data; boundary=" + _BOUNDARY,
            ),
            Route(
                "POST",
                "/score_file/submit",
                content=upload(),
                content_type=b"multipart/form-data; boundary=" + _BOUNDARY,
            ),
            *(
                Route(method, f"/score_file/{what}", query={"task_id": "a" * 32})
                for method, what in _TASK_ROUTES
            ),
            *(Route("GET", f"{model}{end}", None, ("toy",)) for end in ("", "/ready", "/config", "/stats")),
            *(Route("GET", f"{exact}{end}", None, both) for end in ("", "/ready", "/config", "/stats")),
            *(
                Route("POST", f"/v2/repository/{model[4:]}/{what}", {}, ("toy",))
                for what in ("load", "unload")
            ),
        ],
    )


_TASK_ROUTES = (("GET", "status"), ("GET", "get"), ("POST", "retry"), ("PUT", "cancel"))


def binary_tensors() -> tuple[int, bytes]:
    """A request of the Open Inference Protocol whose tensors follow its JSON as bytes; the length of the JSON, and the body."""
    columns = {
        "amount": ("FP32", np.array([1.5, 2], "<f4").tobytes()),
        "count": ("INT64", np.array([1, 2], "<i8").tobytes()),
        "member": ("BOOL", b"\x01\x00"),
        "colour": ("BYTES", b"\x03\x00\x00\x00red\x05\x00\x00\x00green"),
    }
    inputs = [
        f'{{"name":"{name}","datatype":"{kind}","shape":[2],"parameters":{{"binary_data_size":{len(raw)}}}}}'
        for name, (kind, raw) in columns.items()
    ]
    document = f'{{"inputs":[{",".join(inputs)}]}}'.encode()
    return len(document), document + b"".join(raw for _, raw in columns.values())


def upload() -> bytes:
    """A form with a Parquet file of two rows."""
    file = io.BytesIO()
    pq.write_table(pa.table({name: [value] * 2 for name, value in ROW.items()}), file)
    line = b'--%s\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    parts = (
        (b"model", b"", b"toy"),
        (b"event_time", b"", TIME.encode()),
        (b"file", b'; filename="a.parquet"', file.getvalue()),
    )
    return b"".join(line % (_BOUNDARY, *part) for part in parts) + b"--" + _BOUNDARY + b"--\r\n"


def drift_routes(verdict_id: str) -> tuple[Route, ...]:
    """Those of a monitor with a verdict about the model `toy`."""
    window = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}
    return complete(
        "drift",
        [
            Route("POST", "/models/{}/evaluations", window, ("toy",)),
            Route("POST", "/models/{}/evaluations", {}, ("toy",)),
            Route("GET", "/verdicts", query={"model": "toy", "limit": "5"}, weight=2),
            Route("GET", "/verdicts/{}", None, (verdict_id,)),
            Route("GET", "/reports/{}", None, (verdict_id,)),
            Route("GET", "/reports/{}/report.json", None, (verdict_id,)),
            Route("GET", "/models/{}/data-summary", None, ("toy",)),
        ],
    )


def retraining_routes(model: str, version: str, project: str, run_id: str, cause: str) -> tuple[Route, ...]:
    """Those of retraining with a deployed version, a run and its cause."""
    alert = {
        "status": "firing",
        "labels": {"alertname": "LossHigh", "model": model, "severity": "page"},
        "annotations": {"summary": "loss is high", "verdict_id": "7" * 32, "version": version},
        "startsAt": "2013-01-31T08:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "c1c2c3",
    }
    asked = {
        "model": model,
        "reason": "new data",
        "key": "one",
        "actor": "ann",
        "event_time": "2013-01-02T00:00:00Z",
    }
    deployment = {"version": version, "project_directory": project, "actor": "ann"}
    actor = {"actor": "ann"}
    policy = {"retraining": {"cooldown": "1d", "triggers": [{"when": "floor"}]}, "costs": {"training": 1}}
    back = {**actor, "reason": "bad", "to_generation": 1, "expected_generation": 1}
    seen = {"actor": "ann", "note": "sensor replaced", "and_older": True, "issue": None, "expected_older": 0}
    return complete(
        "retraining",
        [
            Route("POST", "/triggers", asked),
            Route("POST", "/triggers", {"version": "4", "status": "firing", "alerts": [alert, alert]}),
            Route("POST", "/models/{}/deployments", deployment, (model,)),
            Route("POST", "/models/{}/rollback", back, (model,)),
            Route("GET", "/models/{}/releases", None, (model,)),
            Route("GET", "/models/{}/why-not", None, (model,)),
            Route("POST", "/models/{}/what-if", policy, (model,)),
            Route("POST", "/runs/{}/approve", actor, (run_id,)),
            Route("POST", "/runs/{}/reject", actor, (run_id,)),
            Route("POST", "/causes/{}/acknowledge", seen, (cause,)),
            Route("GET", "/runs", query={"model": model, "state": "failed", "limit": "5"}),
            Route("GET", "/runs/{}/gate", None, (run_id,)),
            Route("GET", "/runs/{}/gate.json", None, (run_id,)),
            Route("GET", "/runs/{}/steps", None, (run_id,), query={"log_lines": "5"}),
            Route("GET", "/decisions", query={"model": model, "limit": "5"}),
            Route("GET", "/decisions/open"),
            Route("GET", "/runs/{}", None, (run_id,)),
            Route("GET", "/predictions/{}/why", None, ("p7-000001",)),
            Route("GET", "/versions/{}/why", None, (version,)),
            Route("GET", "/runs/{}/why", None, (run_id,)),
            Route("GET", "/causes/{}/why", None, (cause,)),
            Route("GET", "/verdicts/dead-letters"),
            Route("POST", "/verdicts/dead-letters/{}/replay", {}, ("a" * 16,)),
            Route("POST", "/verdicts/dead-letters/{}/discard", {}, ("a" * 16,)),
        ],
    )


def console_routes(model: str, run_id: str, cause: str, verdict_id: str) -> tuple[Route, ...]:
    """Those of a console in front of services that know these."""
    sent = ((HEADER.encode(), b"1"),)
    answer = {"actor": "ann", "state": "suggested", "gate_digest": ""}
    seen = {"actor": "ann", "note": "seen", "and_older": True, "issue": None, "expected_older": 0}
    back = {"actor": "ann", "reason": "bad", "to_generation": 1, "expected_generation": 2}
    form = b"application/x-www-form-urlencoded"
    return complete(
        "console",
        [
            Route("GET", "/reports/{}", None, (verdict_id,)),
            Route("GET", "/reports/{}/content", None, (verdict_id,)),
            Route("GET", "/models/{}/data", None, (model,)),
            Route("GET", "/runs/{}/gate", None, (run_id,)),
            Route("GET", "/login", query={"code": "abc"}),
            Route("POST", "/login", content=b"key=hs_0&code=", content_type=form),
            Route("GET", "/login/callback", query={"state": "a", "code": "b", "error": "c"}),
            Route("POST", "/api/runs/{}/approve", answer, (run_id,), headers=sent),
            Route("POST", "/api/runs/{}/reject", answer, (run_id,), headers=sent),
            Route("POST", "/api/causes/{}/acknowledge", seen, (cause,), headers=sent),
            Route("POST", "/api/models/{}/rollback", back, (model,), headers=sent),
        ],
    )


def metrics_routes(service: str) -> tuple[Route, ...]:
    """Those of shipper or sink, and a path that is none."""
    return complete(service, [Route("GET", "/{}", None, ("status",))])


def complete(service: str, known: Iterable[Route]) -> tuple[Route, ...]:
    """The known routes, and those of the table that are not among them."""
    routes = list(known)
    paths = {(route.method, route.path) for route in routes}
    for method, template in ROUTES[service]:
        path = re.sub(r"{\w+}", "{}", template)
        if (method, path) not in paths:
            body: Any = {} if method != "GET" else None
            routes.append(Route(method, path, body, ("toy",) * path.count("{}")))
    return tuple(routes)
