"""The service as a process, on a real broker and a real lake."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from local_stack.kafka.broker import Broker
from local_stack.ports import free_port
from shared.contracts.manifest import Manifest
from shared.contracts.topics import VERDICTS
from shared.contracts.verdict import SCHEDULED, Verdict
from shared.messaging.record_mac import RecordMac
from shared.messaging.verdict_attestation import attest
from shared.models.signed_versions.key_files import record_secrets
from tests import local_http
from tests.fakes.callers import local_headers
from tests.fakes.grafana_server import TOKEN, Trouble, grafana
from tests.integration.drift.processes import Process, Start, eventually, published, release
from tests.unit.services.drift.world import World, minutes, ordinary
from tests.waiting import bound

HOUR = 360  # rows


@dataclass
class Shared:
    """One process for the tests that start it alike, each with a model of its own."""

    world: World
    models: dict[str, Manifest]
    drift: Process

    def status(self, model: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = self.drift.get("/status")["models"]
        return next(one for one in found if one["model"] == model)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, kafka_broker: Broker) -> Iterator[Shared]:
    world = World(tmp_path_factory.mktemp("drift"))
    models = {"whole": release(world, "whole"), "nulls": release(world, "nulls", outcome={"delay": "30d"})}
    drift = Process(world.home, kafka_broker.bootstrap)
    try:
        yield Shared(world, models, drift)
    finally:
        code = drift.end()
    assert code == 0


def test_a_window_becomes_a_verdict_on_the_topic_and_a_report(kafka_broker: Broker, shared: Shared) -> None:
    world, drift, manifest = shared.world, shared.drift, shared.models["whole"]
    # Evidently brings scikit-learn along, and is imported for the first evaluation.
    assert "sklearn" not in Path(f"/proc/{drift.child.pid}/maps").read_text()
    world.answer(manifest, 1, ordinary(HOUR, 2))
    world.answer(manifest, 1, ordinary(HOUR * 2, 3, start=minutes(60), shift=1.0))

    records = published(kafka_broker, "whole", 4)
    loaded = Path(f"/proc/{drift.child.pid}/maps").read_text()
    assert "sklearn" in loaded
    # All of Evidently brings a web framework along, and is imported for the first report.
    assert "multidict" not in loaded

    judged = sorted(records, key=lambda record: (record[0].detector, record[0].window_end))
    assert [(each.detector, each.state, each.top_drifted_features, each.coverage) for each, _ in judged] == [
        ("inputs", "ok", (), None),
        ("inputs", "drift", ("x",), None),
        ("performance", "ok", (), 1.0),
        ("performance", "ok", (), 1.0),
    ]
    verdict, headers = judged[1]
    performance, _ = judged[3]
    assert headers["ce_type"] == VERDICTS.event_type
    assert (headers["ce_id"], headers["ce_model"]) == (verdict.verdict_id, "whole")
    assert drift.get(f"/verdicts/{verdict.verdict_id}") == orjson.loads(verdict.model_dump_json())

    def drawn() -> httpx.Response | None:
        answered = local_http.get(f"{drift.url}/reports/{verdict.verdict_id}", timeout=bound(30))
        assert answered.status_code in (200, 503)  # 503 while Evidently is imported
        return answered if answered.status_code == 200 else None

    page = eventually(drawn, "the report is drawn", 60)
    assert page is not None
    assert "multidict" in Path(f"/proc/{drift.child.pid}/maps").read_text()
    assert verdict.explanation in unescape(page.text)
    status = shared.status("whole")
    for clock in ("inputs", "performance"):
        assert status[clock]["evaluated_until"].startswith("2026-01-01T02:00:00")
    assert (status["state"], status["inputs"]["state"], status["performance"]["state"]) == (
        "drift",
        "drift",
        "ok",
    )
    now = local_http.post(
        f"{drift.url}/models/whole/evaluations", json={}, headers=local_headers(drift.home), timeout=bound(30)
    )
    assert (now.status_code, now.json()["state"]) == (201, "drift")

    metrics = drift.metrics()
    mac = RecordMac(record_secrets(world.keys.verdicts))
    shown = {
        series: value
        for series, value in metrics.items()
        if "last_verdict_info" in series and 'model="whole"' in series
    }
    expected = {}
    for each in (verdict, performance):
        attested = attest(mac, "whole", each.verdict_id, each.version, each.state)
        series = (
            f'homeostat_drift_last_verdict_info{{detector="{each.detector}",mac="{attested}",model="whole",'
            f'state="{each.state}",verdict_id="{each.verdict_id}",version="{each.version}"}}'
        )
        expected[series] = 1.0
    assert shown == expected
    reached = metrics['homeostat_drift_last_verdict_timestamp_seconds{model="whole"}']
    assert reached == pytest.approx(performance.reached_at.timestamp())
    for detector in ("inputs", "performance"):
        labels = f'{{detector="{detector}",model="whole"}}'
        assert metrics[f"homeostat_drift_verdict_delay_seconds_count{labels}"] == 2
        assert metrics[f"homeostat_drift_verdict_delay_seconds_sum{labels}"] > 0


def test_null_feature_is_reported_when_its_window_closes(kafka_broker: Broker, shared: Shared) -> None:
    """Outcomes take 30 days, and none of them has come."""
    world, manifest = shared.world, shared.models["nulls"]
    window = ordinary(HOUR, 2) | {"x": np.full(HOUR, np.nan)}
    world.answer(manifest, 1, window, delay=None)
    world.answer(manifest, 1, ordinary(1, 3, start=minutes(60)), delay=None)
    [(verdict, _)] = published(kafka_broker, "nulls", 1)
    assert (verdict.detector, verdict.state, verdict.top_drifted_features) == ("inputs", "data_fault", ("x",))
    status = shared.status("nulls")
    assert (status["state"], status["performance"]["state"]) == ("data_fault", "warming_up")


def inputs_of(verdicts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [verdict for verdict in verdicts if verdict["detector"] == "inputs"]


def test_a_grafana_that_hangs_holds_up_nothing(world: World, start: Start) -> None:
    manifest = release(world, "hung")
    with grafana(role="Editor", always=Trouble("hang")) as stand_in:
        drift = start(
            f"127.0.0.1:{free_port()}", HOMEOSTAT_GRAFANA_URL=stand_in.url, HOMEOSTAT_GRAFANA_TOKEN=TOKEN
        )
        for hour in range(6):
            world.answer(manifest, 1, ordinary(HOUR, hour, start=minutes(60 * hour), shift=3.0 * (hour % 2)))
        eventually(
            lambda: len(inputs_of(drift.get("/verdicts")["verdicts"])) == 5,
            "verdicts beside a Grafana that hangs",
        )
        eventually(lambda: stand_in.requests, "Grafana was asked")
        assert drift.metrics()['homeostat_drift_annotations_total{result="sent"}'] == 0
        begun = time.monotonic()
        assert drift.end() == 0
        assert time.monotonic() - begun < bound(15)


def test_without_kafka_and_killed_nothing_is_lost_and_nothing_judged_twice(
    world: World, kafka_broker: Broker, start: Start
) -> None:
    """Without Kafka, too, the first drift of a streak is marked in Grafana."""
    manifest = release(world, "patient")
    world.answer(manifest, 1, ordinary(HOUR, 2))
    world.answer(manifest, 1, ordinary(HOUR * 8, 3, start=minutes(60), shift=2.0))
    with grafana(role="Editor") as stand_in:
        drift = start(
            f"127.0.0.1:{free_port()}", HOMEOSTAT_GRAFANA_URL=stand_in.url, HOMEOSTAT_GRAFANA_TOKEN=TOKEN
        )
        sent = 'homeostat_drift_annotations_total{result="sent"}'
        eventually(lambda: drift.metrics()[sent] == 1, "an annotation is sent")
        early = eventually(
            lambda: len(inputs_of(found := drift.get("/verdicts")["verdicts"])) >= 3 and found,
            "three verdicts on inputs without Kafka",
        )
        assert drift.get("/health/ready") == {"ready": True}
        drift.end(signal.SIGKILL)
        assert [verdict["state"] for verdict in inputs_of(early)][-3:] == ["drift", "drift", "ok"]
        [mark] = stand_in.annotations
        assert mark["tags"] == ["homeostat", "drift", "model:patient"]
        assert mark["text"].startswith(
            f"Drift of patient, version {manifest.version[:12]}, in the window until"
        )
        assert stand_in.violations == []

    drift = start(kafka_broker.bootstrap)
    records = [verdict for verdict, _ in published(kafka_broker, "patient", 16)]
    eventually(lambda: drift.get("/status")["unpublished"] == 0, "everything is published")

    kept = [Verdict.model_validate(body) for body in reversed(drift.get("/verdicts")["verdicts"])]
    for detector in SCHEDULED:
        ends = [verdict.window_end for verdict in kept if verdict.detector == detector]
        assert ends == [minutes(60 * hour) for hour in range(1, 9)]
    assert records == kept
    assert all(Verdict.model_validate(body) in kept for body in early)
