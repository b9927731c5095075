"""How the service is built from its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.retraining import bootstrap
from services.retraining.bootstrap import build
from services.retraining.launchers.chosen_launcher import ChosenLauncher
from services.retraining.launchers.local_launcher import LocalLauncher
from shared.errors import OperatorError
from tests.fakes.retraining_app import SETTINGS
from tests.fakes.retraining_installation import make_installation


@pytest.mark.parametrize("listen", [True, False])
def test_listening_gauge_shows_the_setting(tmp_path: Path, listen: bool) -> None:
    settings = SETTINGS.model_copy(update={"listen": listen})
    metrics = build(make_installation(tmp_path, days=2).settings, settings).deps.metrics.registry
    assert metrics.get_sample_value("homeostat_retraining_listening") == float(listen)
    assert metrics.get_sample_value("homeostat_retraining_listener_up") == 0


def test_unwritable_home_is_reported(tmp_path: Path) -> None:
    from shared.settings import HomeostatSettings

    (tmp_path / "home").write_text("in the way")
    with pytest.raises(OperatorError, match="home cannot be created"):
        build(HomeostatSettings(home=tmp_path / "home"), SETTINGS)


def test_only_the_leader_sends_to_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    relay: dict[str, Any] = {}
    monkeypatch.setattr(bootstrap, "OutboxRelay", lambda *_, **given: relay.update(given))
    settings = SETTINGS.model_copy(update={"mlflow": True})
    service = build(make_installation(tmp_path, days=2).settings, settings)
    assert relay["busy"]()
    assert service.scheduler._lease.take()
    assert not relay["busy"]()
    service.scheduler._lease.release()
    service.deps.ledger.close()


def test_runs_and_their_trainings_share_the_memory_of_the_settings(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"runs_at_once": 4, "training_total_memory_bytes": 4000})
    service = build(make_installation(tmp_path, days=2).settings, settings)
    assert isinstance(service.deps.launcher, ChosenLauncher)
    process = service.deps.launcher.launchers["process"]
    assert isinstance(process, LocalLauncher)
    for places in (service.scheduler._places, process._places):
        assert places is not None
        assert places.memory_of(0) == 1000
    service.deps.ledger.close()


def test_launchers_are_those_of_the_settings(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(
        update={"dask": "tcp://10.0.0.1:8786", "kubernetes_image": "x", "kubernetes_claim": "data"}
    )
    installation = make_installation(tmp_path, days=2)
    service = build(installation.settings, settings)
    assert isinstance(service.deps.launcher, ChosenLauncher)
    assert list(service.deps.launcher.launchers) == ["process", "dask", "kubernetes"]
    service.deps.ledger.close()
    with pytest.raises(OperatorError, match="HOMEOSTAT_RETRAINING_KUBERNETES_CLAIM is not"):
        build(installation.settings, settings.model_copy(update={"kubernetes_claim": ""}))
