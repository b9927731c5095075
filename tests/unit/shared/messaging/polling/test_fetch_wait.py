"""The wait of a fetch: short while records come, long without them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from shared.messaging.polling.fetch_wait import BUSY_MILLISECONDS, IDLE_MILLISECONDS, FetchWait


@pytest.mark.parametrize(("quiet_s", "wait"), [(9.9, BUSY_MILLISECONDS), (10.0, IDLE_MILLISECONDS)])
def test_consumer_without_records_asks_seldom(quiet_s: float, wait: int) -> None:
    times = [100.0]
    client = SimpleNamespace(_fetcher=SimpleNamespace(config={}))
    fetch_wait = FetchWait(lambda: times[0])
    times[0] += 50
    fetch_wait.update(client, has_records=True)
    times[0] += quiet_s
    fetch_wait.update(client, has_records=False)
    assert client._fetcher.config == {"fetch_max_wait_ms": wait}
    fetch_wait.update(client, has_records=True)
    assert client._fetcher.config == {"fetch_max_wait_ms": BUSY_MILLISECONDS}


def test_clients_fetcher_reads_the_wait_for_each_fetch() -> None:
    """The client has no public way to change it: this is what FetchWait relies on."""
    import inspect

    from kafka.consumer.fetcher import Fetcher

    assert "max_wait_ms=self.config['fetch_max_wait_ms']" in inspect.getsource(Fetcher._create_fetch_requests)
