"""The service as a process, on a real broker and a real lake."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import orjson
import pytest

from local_stack.kafka.broker import Broker
from local_stack.ports import free_port
from shared.contracts.topics import VERDICTS
from shared.contracts.verdict import Verdict
from shared.messaging.record_mac import RecordMac
from shared.messaging.verdict_attestation import attest
from shared.models.signed_versions.key_files import record_secrets
from tests import local_http
from tests.fakes.callers import local_headers
from tests.fakes.grafana_server import TOKEN, Trouble, grafana
from tests.integration.drift.processes import Start, eventually, published, release
from tests.unit.services.drift.world import World, minutes, ordinary
from tests.waiting import bound

HOUR = 360  # rows


def test_a_window_becomes_a_verdict_on_the_topic_and_a_report(
    world: World, kafka_broker: Broker, start: Start
) -> None:
    manifest = release(world, "whole")
    drift = start(kafka_broker.bootstrap)
    # Evidently brings scikit-learn along, and is imported for the first evaluation.
    assert "sklearn" not in Path(f"/proc/{drift.child.pid}/maps").read_text()
    world.answer(manifest, 1, ordinary(HOUR, 2))
    world.answer(manifest, 1, ordinary(HOUR * 2, 3, start=minutes(60), shift=1.0))

    records = published(kafka_broker, "whole", 2)
    assert "sklearn" in Path(f"/proc/{drift.child.pid}/maps").read_text()

    assert [(verdict.state, verdict.top_drifted_features) for verdict, _ in records] == [
        ("ok", ()),
        ("drift", ("x",)),
    ]
    verdict, headers = records[1]
    assert headers["ce_type"] == VERDICTS.event_type
    assert (headers["ce_id"], headers["ce_model"]) == (verdict.verdict_id, "whole")
    assert drift.get(f"/verdicts/{verdict.verdict_id}") == orjson.loads(verdict.model_dump_json())

    page = local_http.get(f"{drift.url}/reports/{verdict.verdict_id}", timeout=bound(30))
    assert page.status_code == 200
    assert verdict.explanation in page.text.replace("&#x27;", "'")
    [status] = drift.get("/status")["models"]
    assert status["evaluated_until"].startswith("2026-01-01T02:00:00")
    now = local_http.post(
        f"{drift.url}/models/whole/evaluations", json={}, headers=local_headers(drift.home), timeout=bound(30)
    )
    assert (now.status_code, now.json()["state"]) == (201, "drift")

    metrics = drift.metrics()
    mac = RecordMac(record_secrets(world.keys.verdicts))
    attested = attest(mac, "whole", verdict.verdict_id, verdict.version, "drift")
    assert {series: value for series, value in metrics.items() if "last_verdict_info" in series} == {
        f'homeostat_drift_last_verdict_info{{detector="performance",mac="{attested}",model="whole",state="drift",'
        f'verdict_id="{verdict.verdict_id}",version="{verdict.version}"}}': 1.0
    }
    reached = metrics['homeostat_drift_last_verdict_timestamp_seconds{model="whole"}']
    assert reached == pytest.approx(verdict.reached_at.timestamp())
    assert metrics['homeostat_drift_verdict_delay_seconds_count{model="whole"}'] == 2
    assert metrics['homeostat_drift_verdict_delay_seconds_sum{model="whole"}'] > 0
    assert drift.end() == 0


def test_the_first_drift_of_a_streak_is_marked_in_grafana(world: World, start: Start) -> None:
    manifest = release(world, "marked")
    world.answer(manifest, 1, ordinary(HOUR, 2))
    world.answer(manifest, 1, ordinary(HOUR * 3, 3, start=minutes(60), shift=2.0))
    with grafana(role="Editor") as stand_in:
        drift = start(
            f"127.0.0.1:{free_port()}", HOMEOSTAT_GRAFANA_URL=stand_in.url, HOMEOSTAT_GRAFANA_TOKEN=TOKEN
        )
        sent = 'homeostat_drift_annotations_total{result="sent"}'
        eventually(lambda: drift.metrics()[sent] == 1, "an annotation is sent")
        verdicts = eventually(
            lambda: len(found := drift.get("/verdicts")["verdicts"]) == 3 and found, "three verdicts"
        )
        assert [verdict["state"] for verdict in verdicts] == ["drift", "drift", "ok"]
        [mark] = stand_in.annotations
        assert mark["tags"] == ["homeostat", "drift", "model:marked"]
        assert mark["text"].startswith(
            f"Drift of marked, version {manifest.version[:12]}, in the window until"
        )
        assert stand_in.violations == []
        assert drift.end() == 0


def test_a_grafana_that_hangs_holds_up_nothing(world: World, start: Start) -> None:
    manifest = release(world, "hung")
    with grafana(role="Editor", always=Trouble("hang")) as stand_in:
        drift = start(
            f"127.0.0.1:{free_port()}", HOMEOSTAT_GRAFANA_URL=stand_in.url, HOMEOSTAT_GRAFANA_TOKEN=TOKEN
        )
        for hour in range(6):
            world.answer(manifest, 1, ordinary(HOUR, hour, start=minutes(60 * hour), shift=3.0 * (hour % 2)))
        eventually(
            lambda: len(drift.get("/verdicts")["verdicts"]) == 5, "verdicts beside a Grafana that hangs"
        )
        eventually(lambda: stand_in.requests, "Grafana was asked")
        assert drift.metrics()['homeostat_drift_annotations_total{result="sent"}'] == 0
        begun = time.monotonic()
        assert drift.end() == 0
        assert time.monotonic() - begun < bound(15)


def test_without_kafka_and_killed_nothing_is_lost_and_nothing_judged_twice(
    world: World, kafka_broker: Broker, start: Start
) -> None:
    manifest = release(world, "patient")
    world.answer(manifest, 1, ordinary(HOUR * 9, 2))
    drift = start(f"127.0.0.1:{free_port()}")
    early = eventually(lambda: drift.get("/verdicts")["verdicts"], "a verdict without Kafka")
    assert drift.get("/health/ready") == {"ready": True}
    drift.end(signal.SIGKILL)

    drift = start(kafka_broker.bootstrap)
    records = [verdict for verdict, _ in published(kafka_broker, "patient", 8)]
    eventually(lambda: drift.get("/status")["unpublished"] == 0, "everything is published")

    kept = [Verdict.model_validate(body) for body in reversed(drift.get("/verdicts")["verdicts"])]
    assert [verdict.window_end for verdict in kept] == [minutes(60 * hour) for hour in range(1, 9)]
    assert records == kept
    assert all(Verdict.model_validate(body) in kept for body in early)
