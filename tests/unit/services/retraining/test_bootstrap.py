"""How the service is built from its settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.retraining.bootstrap import build
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
