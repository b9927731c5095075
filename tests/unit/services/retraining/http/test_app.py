"""The HTTP application: host names, cross-site requests and unexpected errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from services.retraining.bootstrap import build
from shared.http.errors import UNKNOWN_ERROR
from tests.fakes.retraining_app import SETTINGS, RetrainingApp, TestClient
from tests.fakes.retraining_installation import MODEL, make_installation
from tests.unit.services.retraining.triggers.test_webhooks import alert, alertmanager


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "text/json"])
def test_post_requires_json_content_type(app: RetrainingApp, kind: str) -> None:
    """A browser sends other content types cross-site without a preflight request."""
    app.deploy()
    app.deploy(app.another_version(-0.6))
    body = b'{"actor": "ann", "model": "toy", "reason": "please"}'
    for path in (
        "/triggers",
        f"/models/{MODEL}/rollback",
        f"/models/{MODEL}/deployments",
        "/runs/x/approve",
        "/runs/x/reject",
        "/causes/x/acknowledge",
    ):
        answer = app.client.post(path, content=body, headers={"Content-Type": kind} if kind else {})
        assert (answer.status_code, answer.json()["field"]) == (415, "Content-Type"), path
    assert len(app.served()) == 2
    assert app.get("/runs")["runs"] == []
    said = app.client.post(
        f"/models/{MODEL}/rollback",
        content=b'{"actor": "ann"}',
        headers={"Content-Type": "Application/JSON; charset=utf-8"},
    )
    assert said.status_code == 201


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        # DNS rebinding: a foreign name resolves to this machine, and the browser treats the page as same-origin.
        ({"Host": "evil.example:8003", "Origin": "http://evil.example:8003"}, 421),
        ({"Host": "evil.example/metrics?"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_cross_site_post_is_rejected(app: RetrainingApp, headers: dict[str, str], status: int) -> None:
    app.deploy()
    app.deploy(app.another_version(-0.6))
    routes = [
        path.replace("{model}", MODEL)
        for path, ways in app.client.get("/openapi.json").json()["paths"].items()
        if "post" in ways
    ]
    assert len(routes) == 11
    for path in routes:
        answer = app.client.post(path, json={"actor": "ann"}, headers=headers)
        assert answer.status_code == status, path
        assert ("HOMEOSTAT_RETRAINING_NAMES" in answer.json().get("hint", "")) == (status == 421)
    assert len(app.served()) == 2


def test_foreign_host_gets_only_metrics_and_health(app: RetrainingApp) -> None:
    foreign = {"Host": "evil.example"}
    closed = [
        path
        for path, ways in app.client.get("/openapi.json").json()["paths"].items()
        if "get" in ways and path not in ("/metrics", "/health/live", "/health/ready")
    ]
    assert len(closed) == 16
    for path in closed:
        assert app.client.get(path, headers=foreign).status_code == 421, path
    for path in ("/metrics", "/health/live", "/health/ready"):
        assert app.client.get(path, headers=foreign).status_code == 200, path


def test_configured_host_names_are_accepted(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"names": "retraining, loop.example"})
    installation = make_installation(tmp_path, days=2)
    with TestClient(
        build(installation.settings, settings).app,
        base_url="http://retraining:8003",
        headers=installation.headers,
    ) as client:
        body = alertmanager(alert())
        assert client.post("/triggers", json=body).status_code == 202
        assert client.post("/triggers", json=body, headers={"Host": "loop.example"}).status_code == 202
        assert client.post("/triggers", json=body, headers={"Host": "loop.evil.example"}).status_code == 421


def test_unexpected_error_shows_only_an_id(app: RetrainingApp, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(app.service.deps.ledger, "decisions", broken)
    with structlog.testing.capture_logs() as logs:
        answer = app.get("/decisions", 500)
    assert [entry["error_id"] for entry in logs if entry["event"] == "unknown_error"] == [answer["error_id"]]
    assert answer["error"] == UNKNOWN_ERROR
    assert len(answer["error_id"]) == 12
