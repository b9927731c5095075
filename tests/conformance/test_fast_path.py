"""The fast path and the ordinary path: every request through both, and the same answers and the same log.

Compared are status, headers, body and what the spool received, all but times and random ids. Bodies are made from a seed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.fakes.path_pair import Pair, Segments, mutated
from tests.fakes.socket_server import SocketServer, request
from tests.fakes.tensor_model import SIZE
from tests.fakes.toy_model import ROW

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in (cast|dot|reduce):RuntimeWarning")

INFER = "/v2/models/sums/infer"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = Pair(tmp_path_factory.mktemp("home"))
    yield pair
    pair.stop()


def infer(rows: int = 1, *, data: Any = None, **changes: Any) -> dict[str, Any]:
    tensor = {
        "name": "x",
        "shape": [rows, SIZE],
        "datatype": "FP32",
        "data": [round(0.1 * place - 3, 4) for place in range(rows * SIZE)] if data is None else data,
    }
    return {"inputs": [{**tensor, **changes.pop("tensor", {})}], **changes}


def text(document: Any) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document, separators=(",", ":")).encode()


def binary(array: bytes, document: dict[str, Any], *, head: int | None = None) -> bytes:
    raw = text(document)
    return request(
        INFER,
        raw + array,
        [("Inference-Header-Content-Length", str(len(raw) if head is None else head))],
    )


def with_array(rows: int, size: int | None = None, datatype: str = "FP32", **changes: Any) -> dict[str, Any]:
    size = 4 * rows * SIZE if size is None else size
    tensor = {
        "name": "x",
        "shape": [rows, SIZE],
        "datatype": datatype,
        "parameters": {"binary_data_size": size},
    }
    return {"inputs": [tensor], **changes}


def floats(*numbers: float) -> bytes:
    return np.array(numbers, np.float32).tobytes()


PLAIN = text(infer(2))
DATA = PLAIN[PLAIN.index(b"[-3") : PLAIN.index(b"]", PLAIN.index(b"[-3")) + 1]

INFER_BODIES = {
    "plain": PLAIN,
    "spaced": json.dumps(infer(3), indent=1).encode(),
    "one": text(infer(1)),
    "id": text(infer(2, id="a-1")),
    "id-escaped": PLAIN[:-1] + b',"id":"\\u00e9\\n\\""}',
    "id-not-utf8": PLAIN[:-1] + b',"id":"\xff"}',
    "id-lone-surrogate": PLAIN[:-1] + b',"id":"\\ud800"}',
    "id-holds-data": b'{"id":"\\"data\\":[1]",' + PLAIN[1:],
    "id-holds-data-unescaped": b'{"id":"x","parameters":{"data":"[1]"},' + PLAIN[1:],
    "data-first": b'{"inputs":[{"data":' + DATA + b',"name":"x","shape":[2,4],"datatype":"FP32"}]}',
    "data-twice": PLAIN.replace(b'"data":', b'"data":[1,2],"data":'),
    "data-twice-same-length": PLAIN.replace(b'"data":', b'"data":[9,9,9,9,9,9,9,9],"data":'),
    "data-twice-last-wrong": PLAIN[:-3] + b',"data":[1,2]}]}',
    "name-twice": PLAIN.replace(b'"name":"x"', b'"name":"y","name":"x"'),
    "inputs-twice": b'{"inputs":[{"data":[1]}],' + PLAIN[1:],
    "integers": text(infer(1, data=[1, 2, 3, -4])),
    "mixed": text(infer(1, data=[1, 2.5, -0.0, 0])),
    "minus-zero": text(infer(1)).replace(b"-3.0", b"-0"),
    "exponents": text(infer(1)).replace(b"-3.0", b"-3E-3"),
    "large-integer": text(infer(1, data=[2**53 + 1, 1, 1, 1])),
    "larger-integer": text(infer(1, data=[2**63 + 5, 1, 1, 1])),
    "huge-integer": text(infer(1, data=[10**40, 1, 1, 1])),
    "too-large": text(infer(1, data=[1e39, 1, 1, 1])),
    "large": text(infer(1, data=[3e38, -3e38, 1, 1])),
    "overflow": text(infer(1)).replace(b"-3.0", b"1e400"),
    "underflow": text(infer(1)).replace(b"-3.0", b"1e-400"),
    "nan": text(infer(1)).replace(b"-3.0", b"NaN"),
    "infinity": text(infer(1)).replace(b"-3.0", b"-Infinity"),
    "leading-zero": text(infer(1)).replace(b"-3.0", b"03"),
    "plus": text(infer(1)).replace(b"-3.0", b"+3"),
    "dot": text(infer(1)).replace(b"-3.0", b"3."),
    "comma": text(infer(1)).replace(b"-3.0", b"3,"),
    "comment": text(infer(1)).replace(b"-3.0", b"3/*x*/"),
    "null": text(infer(1, data=[1, None, 2, 3])),
    "true": text(infer(1, data=[1, True, 2, 3])),
    "text": text(infer(1, data=[1, "2", 2, 3])),
    "bracket-text": text(infer(1, data=[1, "2]", 2, 3])),
    "nested": text(infer(2, data=[[1, 2, 3, 4], [5, 6, 7, 8]])),
    "nested-wrongly": text(infer(2, data=[[1, 2, 3], [4, 5, 6, 7, 8]])),
    "ragged": text(infer(2, data=[[1, 2, 3, 4], 5, 6, 7, 8])),
    "object-in-data": text(infer(1, data=[1, {"a": [1]}, 2, 3])),
    "too-few": text(infer(2, data=[1.0] * 7)),
    "too-many": text(infer(2, data=[1.0] * 9)),
    "empty-data": text(infer(1, data=[])),
    "no-rows": text(infer(0)),
    "too-many-rows": text(infer(51)),
    "most-rows": text(infer(50)),
    "wrong-shape": text(infer(2, tensor={"shape": [4, 2]})),
    "flat-shape": text(infer(2, tensor={"shape": [8]})),
    "negative-shape": text(infer(1, tensor={"shape": [-1, 4]})),
    "float-shape": text(infer(1, tensor={"shape": [1.0, 4]})),
    "fp64": text(infer(2, tensor={"datatype": "FP64"})),
    "fp64-too-large": text(infer(1, data=[1e39, 0, 0, 0], tensor={"datatype": "FP64"})),
    "fp16": text(infer(2, tensor={"datatype": "FP16"})),
    "fp16-too-large": text(infer(1, data=[65520, 0, 0, 0], tensor={"datatype": "FP16"})),
    "int8": text(infer(1, data=[1, 2, 3, 300], tensor={"datatype": "INT8"})),
    "unknown-datatype": text(infer(1, tensor={"datatype": "FP8"})),
    "unknown-input": text(infer(1, tensor={"name": "y"})),
    "unknown-key": text(infer(1, extra=1)),
    "unknown-tensor-key": text(infer(1, tensor={"extra": 1})),
    "model-name": text(infer(1, model_name="sums")),
    "other-model-name": text(infer(1, model_name="toy")),
    "event-time": text(infer(1, parameters={"event_time": "2013-01-01T05:00:00Z"})),
    "event-time-wrong": text(infer(1, parameters={"event_time": "yesterday"})),
    "parameters": text(infer(1, parameters={"x": 1})),
    "outputs": text(infer(1, outputs=[{"name": "score"}])),
    "outputs-swapped": text(infer(2, outputs=[{"name": "prediction_id"}, {"name": "score"}])),
    "outputs-binary": text(infer(2, outputs=[{"name": "score", "parameters": {"binary_data": True}}])),
    "outputs-unknown": text(infer(2, outputs=[{"name": "other"}])),
    "all-binary": text(infer(2, parameters={"binary_data_output": True})),
    "two-inputs": text({"inputs": infer(1)["inputs"] * 2}),
    "empty": b"",
    "space": b"  ",
    "array": b"[]",
    "trailing": PLAIN + b"x",
    "trailing-space": PLAIN + b"\r\n ",
    "byte-order-mark": b"\xef\xbb\xbf" + PLAIN,
    "deep": b'{"inputs":' + b"[" * 2000 + b"]" * 2000 + b"}",
}


@pytest.mark.parametrize("name", INFER_BODIES)
def test_infer_body(pair: Pair, name: str) -> None:
    body = INFER_BODIES[name]
    for _ in range(3):  # learns the headers, learns the body, knows both
        pair.compare([request(INFER, body)], 1)


PREDICT = text({"model": "toy", "rows": [ROW, {**ROW, "amount": None}]})


BINARY_REQUESTS = {
    "one": binary(floats(1, 2, 3, 4), with_array(1)),
    "plain": binary(floats(*range(8)), with_array(2)),
    "nan": binary(floats(1, 2, float("nan"), 4), with_array(1)),
    "infinite": binary(floats(1, 2, float("-inf"), 4), with_array(1)),
    "sum-overflows": binary(floats(3e38, 3e38, 3e38, 1), with_array(1)),
    "too-short": binary(floats(1, 2, 3), with_array(1)),
    "too-long": binary(floats(1, 2, 3, 4, 5), with_array(1)),
    "wrong-size": binary(floats(1, 2, 3, 4), with_array(1, size=12)),
    "fp64": binary(np.arange(4.0).tobytes(), with_array(1, size=32, datatype="FP64")),
    "fp16": binary(np.arange(4, dtype=np.float16).tobytes(), with_array(1, size=8, datatype="FP16")),
    "no-head": binary(floats(1, 2, 3, 4), with_array(1), head=0),
    "head-too-long": binary(b"", with_array(1), head=5000),
    "head-too-short": binary(floats(1, 2, 3, 4), with_array(1), head=10),
    "json-with-head": binary(b"", infer(2)),
    "binary-output": binary(floats(*range(4)), with_array(1, parameters={"binary_data_output": True})),
    "id": binary(floats(*range(4)), with_array(1, id="7")),
}


@pytest.mark.parametrize("name", BINARY_REQUESTS)
def test_binary_request(pair: Pair, name: str) -> None:
    for _ in range(3):
        pair.compare([BINARY_REQUESTS[name]], 1)


def test_plans_survive_other_numbers(pair: Pair) -> None:
    for number in (1.5, -2, 1e30, 3, 0.1):
        (answer,) = pair.compare([request(INFER, text(infer(1, data=[number, 0, 0, 0])))], 1)
        assert b" 200 " in answer
        (answer,) = pair.compare([binary(floats(number, 1, 1, 1), with_array(1))], 1)
        assert b" 200 " in answer


PROBE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nUser-Agent: kube-probe/1.34\r\nAccept: */*\r\n\r\n"

ODD_REQUESTS: dict[str, tuple[Segments, int]] = {
    "traceparent": ([request(INFER, PLAIN, [("traceparent", TRACE)])], 1),
    "chunked": (
        [
            request(INFER, b"", [("Transfer-Encoding", "chunked")])
            + b"%x\r\n%b\r\n0\r\n\r\n" % (len(PLAIN), PLAIN)
        ],
        1,
    ),
    "chunked-in-parts": (
        [
            request(INFER, b"", [("Transfer-Encoding", "chunked")]),
            b"10\r\n" + PLAIN[:16] + b"\r\n",
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(PLAIN) - 16, PLAIN[16:]),
        ],
        1,
    ),
    "expect": ([request(INFER, PLAIN, [("Expect", "100-continue")])], 2),
    "pipelined": ([request(INFER, PLAIN) * 5], 5),
    "pipelined-with-others": (
        [
            request(INFER, PLAIN)
            + request("/health/live", b"", method="GET")
            + request("/predict", PREDICT)
            + request(INFER, b"{")
            + request(INFER, PLAIN)
        ],
        5,
    ),
    "gzip-unsupported": ([request(INFER, PLAIN, [("Content-Encoding", "br")])], 1),
    "unknown-path": ([request("/v2/models/nothing/infer", PLAIN)], 1),
    "version-path": ([request("/v2/models/sums/versions/1234567890ab/infer", PLAIN)], 1),
    "query": ([request(INFER + "?x=1", PLAIN)], 1),
    "escaped-path": ([request("/v2/models/su%6ds/infer", PLAIN)], 1),
    "too-large": ([request(INFER, b" " * 20_001)], 1),
    "too-large-but-valid": ([request(INFER, PLAIN + b" " * 20_000)], 1),
    "request-in-a-header": ([b"POST /outcomes HTTP/1.1\r\nX-A: ", request(INFER, PLAIN)], 1),
    "request-in-a-body": (
        [
            request(
                "/outcomes",
                b"",
                [("traceparent", TRACE), ("Content-Length", str(len(request(INFER, PLAIN))))],
            ),
            request(INFER, PLAIN),
        ],
        1,
    ),
    "get": ([request(INFER, b"", method="GET")], 1),
    "probe": ([PROBE] * 3, 3),
    "probe-closes": ([PROBE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")], 1),
    "probe-in-parts": ([PROBE[:9], PROBE[9:] + PROBE[:20], PROBE[20:]], 2),
    "probe-pipelined": ([PROBE + PROBE + request(INFER, PLAIN) + PROBE], 4),
    "probe-has-a-body": ([PROBE.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n"), b"abc" + PROBE], 2),
    "probe-of-http-1.0": ([PROBE.replace(b"HTTP/1.1", b"HTTP/1.0")], 1),
    "head-of-probe": ([PROBE.replace(b"GET ", b"HEAD ") + PROBE], 2),
    "lower-case-headers": ([request(INFER, PLAIN).replace(b"Content-Length", b"content-length")], 1),
    "spaces-in-headers": ([request(INFER, PLAIN).replace(b"Content-Length: ", b"Content-Length:\t ")], 1),
    "blank-line-first": ([b"\r\n" + request(INFER, PLAIN)], 1),
    "close": ([request(INFER, PLAIN, [("Connection", "close")])], 1),
    "keep-alive": ([request(INFER, PLAIN, [("Connection", "keep-alive")])] * 2, 2),
    "http-1.0": ([request(INFER, PLAIN).replace(b"HTTP/1.1", b"HTTP/1.0")], 1),
    "two-lengths": ([request(INFER, PLAIN, [("Content-Length", "5"), ("Content-Length", "6")])], 1),
    "length-and-chunked": (
        [request(INFER, PLAIN, [("Content-Length", "5"), ("Transfer-Encoding", "chunked")])],
        1,
    ),
    "negative-length": ([request(INFER, PLAIN, [("Content-Length", "-5")])], 1),
    "no-length": ([b"POST %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % INFER.encode()], 1),
    "not-http": ([b"nonsense\r\n\r\n"], 1),
    "head-length-text": ([request(INFER, PLAIN, [("Inference-Header-Content-Length", "x")])], 1),
    "head-length-twice": ([request(INFER, PLAIN, [("Inference-Header-Content-Length", "1")] * 2)], 1),
    "leading-zeros": ([request(INFER, PLAIN, [("Content-Length", f"000{len(PLAIN)}")])], 1),
}


@pytest.mark.parametrize("name", ODD_REQUESTS)
def test_odd_request(pair: Pair, name: str) -> None:
    segments, answers = ODD_REQUESTS[name]
    pair.compare([request(INFER, PLAIN)], 1)
    for _ in range(2):
        pair.compare(segments, answers)
        pair.compare([request(INFER, PLAIN)], 1)


@pytest.mark.parametrize("seed", range(6))
def test_any_segments(pair: Pair, seed: int) -> None:
    chance = random.Random(seed)
    pair.compare([request(INFER, PLAIN)], 1)
    for _ in range(10):
        asked = [
            chance.choice(
                [
                    request(INFER, PLAIN),
                    BINARY_REQUESTS["plain"],
                    request("/predict", PREDICT),
                    request(INFER, b"{"),
                ]
            )
            for _ in range(chance.randint(1, 4))
        ]
        whole = b"".join(asked)
        cuts = sorted(chance.sample(range(1, len(whole)), chance.randint(0, 4)))
        segments = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        pair.compare(segments, len(asked))


@pytest.mark.parametrize("seed", range(8))
def test_random_bodies(pair: Pair, seed: int) -> None:
    chance = random.Random(1000 + seed)
    bodies = [one for one in INFER_BODIES.values() if one]
    for _ in range(60):
        pair.compare([request(INFER, mutated(chance.choice(bodies), chance))], 1)
        head = text(with_array(2))
        broken = mutated(head + floats(*range(8)), chance)
        pair.compare([request(INFER, broken, [("Inference-Header-Content-Length", str(len(head)))])], 1)


@pytest.mark.parametrize(
    "plain", [request(INFER, PLAIN), BINARY_REQUESTS["plain"], request("/predict", PREDICT), PROBE]
)
def test_fast_path_answers_what_is_plain(pair: Pair, plain: bytes) -> None:
    """The comparison would be empty if everything went the ordinary way."""
    pair.compare([plain], 1)
    pair.fast.ordinary_requests.clear()
    for _ in range(3):
        pair.compare([plain], 1)
    assert pair.fast.ordinary_requests == []


@pytest.mark.parametrize("name", [name for name in INFER_BODIES if "twice" in name])
def test_repeated_name_is_refused(pair: Pair, name: str) -> None:
    for _ in range(2):
        (answer,) = pair.compare([request(INFER, INFER_BODIES[name])], 1)
        assert b" 400 " in answer
        assert b" twice" in answer
    (answer,) = pair.compare([binary(floats(1, 2, 3, 4), INFER_BODIES["name-twice"])], 1)  # type: ignore[arg-type]
    assert b" twice" in answer


@pytest.mark.parametrize(
    "asked",
    [
        [request(INFER, PLAIN)] * 2,
        [request(INFER, PLAIN) * 3],
        [BINARY_REQUESTS["plain"]] * 2,
        [request("/predict", PREDICT)] * 2,
        [request("/predict", text({"model": "sums", "rows": [{"x": [1, 2, 3, 4]}] * 2}))] * 2,
    ],
)
def test_request_that_a_full_spool_refuses_is_dropped_once(pair: Pair, asked: list[bytes]) -> None:
    """What is refused is counted as dropped, and once: the ordinary path would call the model and drop the rows again."""
    servers, count = (pair.fast, pair.ordinary), b"".join(asked).count(b"HTTP/1.1")
    pair.compare(asked, count)
    pair.fast.ordinary_requests.clear()
    before = [_errors(server) for server in servers]
    for server in servers:
        server.recorder.refuses = server.spool.full = True
        server.spool.dropped.clear()
    try:
        answers = pair.compare(asked, count)
    finally:
        for server in servers:
            server.recorder.refuses = server.spool.full = False
    assert all(b" 503 " in one and b"\r\nretry-after: 1\r\n" in one for one in answers)
    assert pair.fast.ordinary_requests == []
    assert pair.fast.spool.dropped == pair.ordinary.spool.dropped
    assert sum(pair.fast.spool.dropped.values()) == 2 * count
    assert [_errors(server) - old for server, old in zip(servers, before, strict=True)] == [count, count]
    pair.compare(asked, count)


def _errors(server: SocketServer) -> float:
    return server.sample("homeostat_inference_errors_total", status="503") or 0.0
