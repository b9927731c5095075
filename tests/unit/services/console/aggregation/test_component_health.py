"""Component health: nothing is claimed that was not reported; what is late or nearly full is degraded."""

from __future__ import annotations

import pytest

from services.console.aggregation.console_snapshot import ComponentHealth
from tests.fakes.loop_services import FakeLoop, full_loop
from tests.unit.services.console.harness import Console, run, take_snapshot


def health_of(name: str, loop: FakeLoop) -> ComponentHealth:
    health = take_snapshot(loop).component(name)
    assert health is not None
    return health


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("shipper", "responds; its backlog is unknown"),
        ("sink", "responds; its lag is unknown"),
    ],
)
@pytest.mark.parametrize("lie", [b"", b"nonsense"])
def test_missing_samples_are_unknown(name: str, sentence: str, lie: bytes) -> None:
    loop = full_loop()
    loop.lies[f"/{name}/metrics"] = lie
    health = health_of(name, loop)
    assert (health.condition, health.sentence, health.details) == ("up", sentence, ())


def test_old_samples_are_not_shown() -> None:
    loop = full_loop()

    async def snapshots() -> list[str]:
        console = Console(loop)
        first = (await console.aggregator.snapshot()).component("sink")
        get = console.aggregator._poller._get

        async def broken(request: object) -> object:
            if request.path == "/metrics":  # type: ignore[attr-defined]
                raise OSError("reset")
            return await get(request)  # type: ignore[arg-type]

        console.aggregator._poller._get = broken  # type: ignore[method-assign]
        console.clock.forward(30)
        second = (await console.aggregator.snapshot()).component("sink")
        return [health.sentence for health in (first, second) if health is not None]

    assert run(snapshots) == ["7 records behind Kafka", "responds; its lag is unknown"]


@pytest.mark.parametrize(
    ("name", "metrics", "condition", "sentence"),
    [
        ("shipper", "homeostat_shipper_backlog_bytes 0", "up", "no backlog"),
        (
            "shipper",
            "homeostat_shipper_backlog_bytes 2048\nhomeostat_shipper_oldest_row_age_seconds 59",
            "up",
            "2 KiB waiting for Kafka",
        ),
        (
            "shipper",
            "homeostat_shipper_backlog_bytes 2048\nhomeostat_shipper_oldest_row_age_seconds 7200",
            "degraded",
            "the oldest row on the spool has waited 2 h for Kafka",
        ),
        ("sink", 'homeostat_sink_lag_records{topic="a"} 0', "up", "no lag"),
        ("sink", 'homeostat_sink_lag_records{topic="a"} 10000', "up", "10,000 records behind Kafka"),
        (
            "sink",
            'homeostat_sink_lag_records{topic="a"} 10000\nhomeostat_sink_lag_records{topic="b"} 1',
            "degraded",
            "10,001 records behind Kafka",
        ),
    ],
)
def test_lateness_is_degraded(name: str, metrics: str, condition: str, sentence: str) -> None:
    loop = full_loop()
    loop.lies[f"/{name}/metrics"] = metrics.encode()
    health = health_of(name, loop)
    assert (health.condition, health.sentence) == (condition, sentence)


def test_dropped_rows_are_counted() -> None:
    loop = full_loop()
    loop.lies["/shipper/metrics"] = b'homeostat_shipper_spool_dropped_rows{kind="predictions",model="m"} 5\n'
    assert ("dropped", "5 rows") in health_of("shipper", loop).details


@pytest.mark.parametrize(("held", "condition"), [(799, "up"), (800, "degraded")])
def test_nearly_full_spool_is_degraded(held: int, condition: str) -> None:
    loop = full_loop()
    loop.lies["/inference/status.json"] = b'{"models": [], "spool": {"bytes": %d, "bound": 1000}}' % held
    health = health_of("inference", loop)
    assert health.condition == condition
    assert ("its spool is 80% full" in health.sentence) is (condition == "degraded")


@pytest.mark.parametrize(("leader", "shown"), [("this process", "this process"), ("", "none")])
def test_retraining_shows_its_leader(leader: str, shown: str) -> None:
    loop = full_loop()
    loop.lies["/retraining/status"] = (
        b'{"ready": true, "verdicts": "connected", "leader": "%s"}' % leader.encode()
    )
    assert ("leader", shown) in health_of("retraining", loop).details
