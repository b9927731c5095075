"""The fuzz of `make fuzz`: it passes on the services, and it finds an application that answers with a server error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.fuzz.__main__ import report
from tests.fuzz.payloads import Route
from tests.fuzz.runner import NO_ANSWER, Target, fuzz
from tests.fuzz.services import TARGETS, all_targets

ROUTES = (Route("POST", "/things/{}", {"size": 1, "names": ["a"]}, ("one",), {"limit": "5"}),)


@pytest.fixture(autouse=True)
def usual_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def answering(status_of: Callable[[str, bytes], int]) -> Callable[..., Any]:
    """An application whose status depends on path and body."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": status_of(scope["path"], body), "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    return app


def raise_error(path: str, body: bytes) -> int:
    raise RuntimeError("a bug")


def test_services_answer_no_hostile_request_with_a_server_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with all_targets(tmp_path) as targets:
        result = fuzz(targets, seconds=60, seed_number=20, maximum_requests=1000)
    status = report(result, 20)
    output = capsys.readouterr().out
    assert status == 0, output
    assert set(result.requests) == set(TARGETS)
    # Valid requests are among them, or the fuzz would see only the first check.
    assert result.statuses[200] > 50
    assert result.statuses[400] + result.statuses[422] > 50


@pytest.mark.parametrize(
    "status_of",
    [
        lambda path, body: 500 if re.search(rb"[0-9]{10}|NaN|e.308", body) else 200,
        lambda path, body: 503 if path != "/things/one" else 404,
        lambda path, body: 500 if b"[[[[" in body else 200,
        raise_error,
    ],
    ids=["hostile number", "hostile path", "deep nesting", "exception"],
)
def test_a_server_error_fails_the_fuzz(
    status_of: Callable[[str, bytes], int], capsys: pytest.CaptureFixture[str]
) -> None:
    result = fuzz(
        [Target("things", answering(status_of), ROUTES)], seconds=60, seed_number=1, maximum_requests=250
    )
    assert result.failures
    assert all(failure.status in (500, 503, NO_ANSWER) for failure in result.failures)
    assert report(result, 1) == 1
    *shown, line = capsys.readouterr().out.splitlines()
    assert any(text.startswith("things: ") and "/things/" in text for text in shown)
    assert re.match(r"make fuzz: failed in \d+ s with seed 1: 250 requests", line)
    assert f"{len(result.failures)} failures (5xx)" in line


def test_a_fuzz_that_sent_nothing_fails(capsys: pytest.CaptureFixture[str]) -> None:
    result = fuzz([Target("things", answering(lambda path, body: 200), ROUTES)], seconds=0, seed_number=1)
    assert report(result, 1) == 1
    assert "0 requests" in capsys.readouterr().out


def test_the_same_seed_sends_the_same_requests() -> None:
    seen: list[list[tuple[str, bytes]]] = []
    for _ in range(2):
        sent: list[tuple[str, bytes]] = []

        def remember(path: str, body: bytes, sent: list[tuple[str, bytes]] = sent) -> int:
            sent.append((path, body))
            return 200

        fuzz([Target("things", answering(remember), ROUTES)], seconds=60, seed_number=7, maximum_requests=100)
        seen.append(sent)
    assert len(seen[0]) == 100
    assert seen[0] == seen[1]
