from __future__ import annotations

from pathlib import Path

from local_stack.addresses import addresses
from local_stack.settings import LocalStackSettings
from local_stack.state import write_state
from shared.contracts.stack_state import StackState


def test_addresses_by_default(tmp_path: Path) -> None:
    found = addresses(LocalStackSettings(home=tmp_path))
    assert found.retraining == "http://127.0.0.1:8003"
    assert found.inference == "http://127.0.0.1:8000"


def test_addresses_of_the_running_stack_come_before_the_default_ports(tmp_path: Path) -> None:
    state = StackState(
        pid=1, created=0, home="", kafka="", started_at="", ports={"drift": 18002}, urls={}, processes=()
    )
    write_state(tmp_path, state)
    assert addresses(LocalStackSettings(home=tmp_path)).drift == "http://127.0.0.1:18002"
    elsewhere = LocalStackSettings(home=tmp_path, drift_url="http://drift.example:80/")
    assert addresses(elsewhere).drift == "http://drift.example:80"
