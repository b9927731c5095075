"""The checks of spool, consumer lag and releases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.checks.pipeline import lag, releases, spool
from local_stack.settings import LocalStackSettings
from shared.contracts.release import Release
from shared.stores.model_store import open_model_store
from tests.unit.cli.fake_service import FakeService

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def serving(
    settings: LocalStackSettings, service: FakeService, generation: int, used: int = 0
) -> LocalStackSettings:
    service.answers["GET /status.json"] = (
        200,
        {
            "models": [{"name": "parcels", "version": "ab", "generation": generation}],
            "spool": {"bytes": used, "bound": 1000},
        },
    )
    return settings.model_copy(update={"inference_url": service.url})


@pytest.mark.parametrize(("used", "state"), [(10, "ok"), (800, "failure")])
def test_nearly_full_spool_is_a_failure(
    settings: LocalStackSettings, service: FakeService, used: int, state: str
) -> None:
    [found] = spool(serving(settings, service, 1, used))
    assert found.state == state


def test_older_served_generation_is_a_failure(settings: LocalStackSettings, service: FakeService) -> None:
    given = serving(settings, service, 1)
    assert [one.state for one in releases(given)] == ["ok"]
    store = open_model_store(settings.model_store_url, None)
    for generation in (1, 2):
        entry = {"model": "parcels", "generation": generation, "version": "ab", "released_at": NOW}
        store.add_release(Release(**entry, reason="deployment", actor="ada"))
    [found] = releases(given)
    assert (found.state, found.found) == ("failure", "generation 2 is released, 1 is served")
    assert found.hint == "homeostat releases parcels"
    assert [one.state for one in releases(serving(settings, service, 2))] == ["ok"]


def test_unreadable_release_of_one_model_hides_no_other(
    settings: LocalStackSettings, service: FakeService, tmp_path: Path
) -> None:
    given = serving(settings, service, 1).model_copy(update={"model_store": tmp_path.as_uri()})
    store = open_model_store(given.model_store_url, None)
    for model in ("parcels", "trains"):
        entry = {"model": model, "generation": 1, "version": "ab", "released_at": NOW}
        store.add_release(Release(**entry, reason="deployment", actor="ada"))
    (tmp_path / "trains" / "releases" / "000002.json").write_text("{")
    found = {one.checked: one for one in releases(given)}
    assert found["release of parcels"].state == "ok"
    assert found["release of trains"].state == "failure"
    assert "release 2 of trains cannot be read" in found["release of trains"].found


@pytest.mark.parametrize(("behind", "state"), [("3.0", "ok"), ("20001.0", "failure")])
def test_high_consumer_lag_is_a_failure(
    settings: LocalStackSettings,
    started: Callable[..., None],
    service: FakeService,
    behind: str,
    state: str,
) -> None:
    started(sink=int(service.url.rsplit(":", 1)[1]))
    service.answers["GET /metrics"] = (
        200,
        f'homeostat_sink_lag_records{{topic="homeostat.predictions"}} {behind}\n'.encode(),
    )
    [found] = lag(settings)
    assert found.state == state
