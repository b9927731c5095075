from __future__ import annotations

from threading import Event

import orjson
import pytest
from fastapi.testclient import TestClient

from services.drift.evaluation.evidently_adapter import Drawn, EvidentlyAdapter, Heading, Sample
from services.drift.http.app import make_app
from services.drift.http.data_summaries import DataSummaries
from services.drift.http.routes import Dependencies
from shared.contracts.manifest import Manifest
from shared.http.host_check import AllowedHosts
from tests.fakes.callers import Everyone
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.world import loop, minutes, ordinary


class CountingDrawer:
    """Draws the names of the columns, and remembers how often it was asked."""

    def __init__(self) -> None:
        self.drawn: list[list[str]] = []

    def prepare(self, seconds: float) -> None:
        pass

    def draw(self, heading: Heading, samples: list[Sample]) -> Drawn:
        self.drawn.append([sample.name for sample in samples])
        return Drawn(f"<html>{heading.title}: {heading.paragraphs[0]}</html>", "{}", "{}")


class Service:
    """The HTTP application of an installation."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.ready = Event()
        self.drawer = CountingDrawer()
        reports = self.reports = installation.reports(self.drawer)
        dependencies = Dependencies(
            installation.monitor,
            installation.verdicts,
            reports,
            DataSummaries(lambda model: {"problem": f"no rows of {model}"}, lambda: minutes(100_000)),
            installation.metrics.registry,
            self.ready,
            minutes(0),
            lambda: minutes(100_000),
            AllowedHosts.of("127.0.0.1", "drift", "HOMEOSTAT_DRIFT_NAMES"),
            Everyone(),
        )
        self.client = TestClient(
            make_app(dependencies), base_url="http://127.0.0.1:8002", raise_server_exceptions=False
        )


@pytest.fixture
def service(installation: Installation) -> Service:
    return Service(installation)


@pytest.fixture
def released(installation: Installation) -> Manifest:
    features = [
        {"name": "x", "type": "number"},
        {"name": "secret", "type": "number", "personal": True},
        {"name": "c", "type": "category", "values": ["a", "b", "d"]},
    ]
    reference = ordinary(5000, 1)
    manifest = installation.world.version(loop(features=features), reference | {"secret": reference["x"]})
    installation.world.release(manifest)
    window = ordinary(1000, 2, shift=1.0)
    installation.world.answer(manifest, 1, window | {"secret": window["x"]})
    return manifest


def test_ready_only_when_the_loop_runs(service: Service) -> None:
    assert service.client.get("/health/live").status_code == 200
    assert service.client.get("/health/ready").status_code == 503
    service.ready.set()
    assert service.client.get("/health/ready").json() == {"ready": True}


def test_summary_of_logged_data_is_made_in_the_background(service: Service) -> None:
    world = service.installation.world
    world.release(world.version(loop(), ordinary(500, 1)))
    assert service.client.get("/models/toy/data-summary").json()["is_making"] is True
    assert service.client.get("/models/absent/data-summary").status_code == 404


def test_verdicts_by_list_and_by_id(service: Service, released: Manifest) -> None:
    wanted = service.installation.settle()
    found = service.client.get("/verdicts", params={"model": "toy", "limit": 1}).json()["verdicts"]
    assert found == [wanted[-1].model_dump(mode="json")]
    assert len(service.client.get("/verdicts").json()["verdicts"]) == len(wanted) == 4
    one = service.client.get(f"/verdicts/{wanted[0].verdict_id}").json()
    assert (one["state"], one["top_drifted_features"]) == ("drift", ["secret", "x"])
    assert service.client.get("/verdicts", params={"model": "nobody"}).json() == {"verdicts": []}


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "", "²", "9" * 5000])
def test_a_limit_that_is_none_is_refused(service: Service, limit: str) -> None:
    answer = service.client.get("/verdicts", params={"limit": limit})
    assert answer.status_code == 422
    assert answer.json()["field"] == "limit"


def test_status_shows_the_last_verdict_of_the_stream(service: Service, released: Manifest) -> None:
    service.installation.settle()
    [model] = service.client.get("/status").json()["models"]
    assert model["stream"] == {"last_verdict": None}
    verdicts = service.installation.verdicts
    for minute in (70, 80):
        window = {"detector": "stream", "window_start": minutes(60), "window_end": minutes(minute)}
        verdicts.put(
            verdicts.latest("toy", 1)[0].model_copy(update=window | {"verdict_id": f"{minute}" * 16})
        )
    [model] = service.client.get("/status").json()["models"]
    assert model["stream"]["last_verdict"]["window_end"] == "2026-01-01T01:20:00Z"
    assert model["inputs"]["last_verdict"]["detector"] == "inputs", "which is the window's"


def test_status_shows_evaluation_progress(service: Service, released: Manifest) -> None:
    service.installation.settle()
    body = service.client.get("/status").json()
    [model] = body["models"]
    for clock in (model["inputs"], model["performance"]):
        assert clock["evaluated_until"].replace("+00:00", "Z") == "2026-01-01T02:00:00Z"
    assert (model["state"], model["inputs"]["state"], model["performance"]["state"]) == (
        "drift",
        "drift",
        "ok",
    )
    assert model["inputs"]["last_verdict"]["detector"] == "inputs"
    assert (model["outcomes"]["coverage"], model["outcomes"]["lag_seconds"]) == (1.0, 1200.0)
    assert model["outcomes"]["overdue_since"] is None
    assert body["unpublished"] == 4


def test_report_is_rendered_once_on_request(service: Service, released: Manifest) -> None:
    verdict, *_ = service.installation.settle()
    assert service.drawer.drawn == []
    first = service.client.get(f"/reports/{verdict.verdict_id}")
    again = service.client.get(f"/reports/{verdict.verdict_id}")
    assert first.headers["content-type"].startswith("text/html")
    assert first.text == again.text
    assert service.client.get(f"/reports/{verdict.verdict_id}/report.json").json() == {}
    assert len(service.drawer.drawn) == 1


def test_report_is_refused_for_a_while_where_it_would_wait_long(
    service: Service, released: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the library of the drawer is loaded, and while other reports are drawn."""
    verdict, *_ = service.installation.settle()
    path = f"/reports/{verdict.verdict_id}"
    reports = service.reports
    reports.wait_seconds = 0.05
    adapter, goes_on = EvidentlyAdapter(lambda: loading.wait(30)), service.drawer.prepare
    loading = Event()
    monkeypatch.setattr(service.drawer, "prepare", adapter.prepare)
    for _ in range(2):
        refused = service.client.get(path)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert "is being loaded" in refused.json()["error"]
    loading.set()
    monkeypatch.setattr(service.drawer, "prepare", goes_on)
    with reports._drawing:
        assert "other reports are being drawn" in service.client.get(path).json()["error"]
    assert service.drawer.drawn == []
    assert service.client.get(path).status_code == 200
    monkeypatch.setattr(service.drawer, "prepare", None)  # one that is drawn needs no library
    assert service.client.get(path).status_code == 200


def test_report_that_takes_long_is_drawn_for_a_later_request(
    service: Service, released: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict, *_ = service.installation.settle()
    path = f"/reports/{verdict.verdict_id}"
    service.reports.draw_seconds = 0.05
    goes_on, draw = Event(), service.drawer.draw

    def draw_slowly(heading: Heading, samples: list[Sample]) -> Drawn:
        assert goes_on.wait(30)
        return draw(heading, samples)

    monkeypatch.setattr(service.drawer, "draw", draw_slowly)
    refused = service.client.get(path)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert "is still being drawn" in refused.json()["error"]
    service.reports.draw_seconds = 30
    goes_on.set()
    assert service.client.get(path).status_code == 200
    assert len(service.drawer.drawn) == 1


def test_a_report_shows_blamed_features_first_and_no_personal_data(
    service: Service, released: Manifest
) -> None:
    # The report of a verdict on performance draws the inputs of the same window.
    for verdict in service.installation.settle():
        service.client.get(f"/reports/{verdict.verdict_id}")
    assert service.drawer.drawn == [["score", "x", "c"]] * 4


def test_an_examination_now(service: Service, released: Manifest) -> None:
    window = {"start": "2026-01-01T00:10:00Z", "end": "2026-01-01T01:50:00+01:00"}
    first = service.client.post("/models/toy/evaluations", json=window)
    assert first.status_code == 201
    assert (first.json()["detector"], first.json()["rows"]) == ("request", 240)
    again = service.client.post("/models/toy/evaluations", json=window)
    assert (again.status_code, again.json()) == (200, first.json())
    assert (
        service.client.post("/models/toy/evaluations", json={}).json()["window_end"] == "2026-01-01T02:00:00Z"
    )


def test_evaluation_is_refused_for_a_while_where_it_would_wait_long(
    service: Service, released: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the library that compares columns is loaded, and while other windows are evaluated."""
    monitor, window = (
        service.installation.monitor,
        {"start": "2026-01-01T00:10:00Z", "end": "2026-01-01T00:50:00Z"},
    )
    loading = Event()
    adapter = EvidentlyAdapter(load_tests=lambda: loading.wait(30))
    monkeypatch.setattr(monitor, "request_seconds", 0.05)
    monkeypatch.setattr(monitor, "prepare", adapter.prepare_distances)
    for _ in range(2):
        refused = service.client.post("/models/toy/evaluations", json=window)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert "compares columns is being loaded" in refused.json()["error"]
    loading.set()
    with monitor.evaluation.lock:
        refused = service.client.post("/models/toy/evaluations", json=window)
        assert refused.status_code == 503
        assert "other windows are being evaluated" in refused.json()["error"]
    assert service.client.post("/models/toy/evaluations", json=window).status_code == 201
    monkeypatch.setattr(monitor, "prepare", None)  # a verdict that is stored needs no library
    assert service.client.post("/models/toy/evaluations", json=window).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{", 400, "body"),
        (b"[]", 400, "body"),
        (b'{"from": 1}', 422, "from"),
        (b'{"start": "2026-01-01T00:00:00Z"}', 422, "end"),
        (b'{"end": "2026-01-01T00:00:00Z"}', 422, "start"),
        (b'{"start": 1, "end": 2}', 422, "start"),
        (b'{"start": "soon", "end": "later"}', 422, "start"),
        (b'{"start": "2026-01-01T00:00:00", "end": "2026-01-01T01:00:00Z"}', 422, "start"),
        (b'{"start": "2026-01-01T01:00:00Z", "end": "2026-01-01T01:00:00Z"}', 422, "end"),
        (b'{"start": "2026-01-01T01:00:00Z", "end": "2999-01-01T01:00:00Z"}', 422, "end"),
        (b'{"start": "0001-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}', 422, "start"),
        (b'{"start": "0001-01-01T00:00:00+14:00", "end": "2026-01-01T01:00:00Z"}', 422, "start"),
        (b'{"start": "9999-12-31T23:59:59-14:00", "end": "2026-01-01T01:00:00Z"}', 422, "start"),
        (b" " * 70_000, 413, "body"),
    ],
)
def test_a_wrong_examination_names_the_field(
    service: Service, released: Manifest, body: bytes, status: int, field: str
) -> None:
    answer = service.client.post(
        "/models/toy/evaluations", content=body, headers={"Content-Type": "application/json; charset=utf-8"}
    )
    assert (answer.status_code, answer.json()["field"]) == (status, field)
    assert {"error", "field", "expected"} == set(answer.json())


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_what_another_sites_page_may_send_starts_no_examination(
    service: Service, released: Manifest, kind: str, body: bytes
) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = service.client.post("/models/toy/evaluations", content=body, headers=headers)
    assert (answer.status_code, answer.json()["field"], answer.json()["expected"]) == (
        415,
        "Content-Type",
        "application/json",
    )
    assert service.client.get("/verdicts").json() == {"verdicts": []}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        # A foreign name that resolves to this machine: to the browser the page is then one of ours.
        ({"Host": "evil.example:8002", "Origin": "http://evil.example:8002"}, 421),
        ({"Host": "evil.example/metrics?"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_a_page_of_another_site_starts_no_examination_whatever_it_sends(
    service: Service, released: Manifest, headers: dict[str, str], status: int
) -> None:
    answer = service.client.post("/models/toy/evaluations", json={}, headers=headers)
    assert answer.status_code == status
    assert ("HOMEOSTAT_DRIFT_NAMES" in answer.json().get("hint", "")) == (status == 421)
    assert service.client.get("/verdicts").json() == {"verdicts": []}


def test_verdicts_are_shown_under_names_of_ours_and_figures_under_any(service: Service) -> None:
    foreign = {"Host": "evil.example"}
    for path in ("/verdicts", "/verdicts/x", "/reports/x", "/reports/x/report.json", "/status"):
        assert service.client.get(path, headers=foreign).status_code == 421, path
    for path, status in (("/metrics", 200), ("/health/live", 200), ("/health/ready", 503)):
        assert service.client.get(path, headers=foreign).status_code == status, path
    named = service.client.post("/models/nobody/evaluations", json={}, headers={"Host": "drift:8002"})
    assert named.status_code == 404


@pytest.mark.parametrize("path", ["/verdicts/x", "/reports/x", "/reports/..%2F..%2Fkeys", "/nowhere"])
def test_what_is_not_there_is_a_404(service: Service, path: str) -> None:
    answer = service.client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]


def test_an_unknown_error_shows_an_id_and_nothing_else(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("a secret path")

    monkeypatch.setattr(service.installation.monitor, "statuses", fail)
    answer = service.client.get("/status")
    assert answer.status_code == 500
    assert set(answer.json()) == {"error", "error_id"}
    assert "secret" not in answer.text


def test_metrics_hold_no_nan(service: Service, released: Manifest) -> None:
    service.installation.settle()
    text = service.client.get("/metrics").text
    assert 'homeostat_drift_state{model="toy",state="drift"} 1.0' in text
    assert "NaN" not in text


def test_json_answers_hold_no_nan(service: Service, released: Manifest) -> None:
    service.installation.settle()
    assert b"NaN" not in orjson.dumps(service.client.get("/verdicts").json())
