"""Component health: nothing is claimed that was not reported; what is late or nearly full is degraded."""

from __future__ import annotations

import pytest

from services.console.aggregation.console_snapshot import ComponentHealth
from tests.fakes.loop_services import FakeLoop, endpoints, full_loop
from tests.unit.services.console.harness import BASE, Console, run, take_snapshot


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


@pytest.mark.parametrize(
    ("status", "api_key", "said"),
    [
        (401, "", "Requires an API key (status 401). The console cannot show it."),
        (
            401,
            "hs_old",
            "Does not accept the console's API key (status 401). The console cannot show it.",
        ),
        (403, "hs_x", "Does not let the console's API key read (status 403). The console cannot show it."),
    ],
)
def test_refusal_of_the_console_is_shown_with_its_remedy(status: int, api_key: str, said: str) -> None:
    loop = full_loop()
    loop.refuses = status
    snapshot = take_snapshot(loop, api_key=api_key)
    for name in ("inference", "shipper", "sink", "drift", "retraining"):
        component = snapshot.component(name)
        assert component is not None
        assert (component.condition, component.sentence) == ("refused", said)
        assert "homeostat keys create console --scope read" in component.hint
        assert "HOMEOSTAT_API_KEY_FILE" in component.hint
    assert snapshot.action_items[0].title == "inference refuses the console"


def test_key_of_the_console_is_sent_to_our_services_only() -> None:
    loop = full_loop()
    where = endpoints(BASE, prometheus=f"{BASE}/prometheus", grafana=f"{BASE}/grafana")
    take_snapshot(loop, api_key="hs_console", where=where)
    sent = {path: found for path, found in loop.credentials.items() if found != {"Bearer hs_console"}}
    assert sent == {"/prometheus/-/ready": {""}, "/grafana/api/health": {""}}
