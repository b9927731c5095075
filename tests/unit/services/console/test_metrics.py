"""The console's own metrics."""

from __future__ import annotations

from tests.fakes.loop_services import full_loop
from tests.unit.services.console.harness import Console, run


def test_requests_and_polls_are_counted() -> None:
    loop = full_loop()
    loop.unreachable = {"drift"}

    async def metrics() -> str:
        console = Console(loop)
        await console.http.get("/main")
        await console.http.get("/nowhere")
        return (await console.http.get("/metrics")).text

    text = run(metrics)
    assert 'homeostat_console_requests_total{route="/main",status="200"} 1.0' in text
    assert 'homeostat_console_requests_total{route="none",status="404"} 1.0' in text
    assert 'homeostat_console_polls_total{result="failed",service="drift"} 3.0' in text
    assert 'homeostat_console_polls_total{result="ok",service="inference"} 2.0' in text
    assert "homeostat_console_snapshot_seconds_count 1.0" in text
