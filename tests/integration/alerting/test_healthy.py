"""A healthy stack rings no alarm: every rule, in a hurry, in a real Prometheus, over the real services and a model."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from docs.generate import ROOT
from local_stack.settings import LocalStackSettings
from local_stack.state import read_state
from local_stack.supervisor.process_specs import services
from shared.contracts.stack_state import StackState
from tests.observability import SHIPPED_RULES, running_prometheus, with_short_waits

LOOKING_S = 30.0


def homeostat(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def ask(url: str) -> None:
    """One request, answered."""
    row = {"service": "economy", "distance_km": 820, "weight_kg": 2.5, "parcels_today": 431}
    answer = httpx.post(
        f"{url}/predict", json={"model": "parcels", "rows": [row]}, timeout=20, trust_env=False
    )
    assert answer.status_code == 200, answer.text


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[StackState]:
    """The whole local stack with the model `homeostat init` writes."""
    home, project = tmp_path / "home", tmp_path / "project"
    try:
        homeostat("up", f"--home={home}", "--detach", "--free-ports")
        homeostat("init", str(project))
        subprocess.run(
            [sys.executable, "make_data.py"], cwd=project, check=True, timeout=60, capture_output=True
        )
        data = [f"--train={project / 'train.parquet'}", f"--holdout={project / 'holdout.parquet'}"]
        homeostat("deploy", str(project), f"--home={home}", *data)
        state = read_state(home)
        assert state is not None
        yield state
    finally:
        homeostat("down", f"--home={home}")


def test_no_alert_fires_while_all_is_well(tmp_path: Path, stack: StackState) -> None:
    names = [spec.name for spec in services(LocalStackSettings())]
    targets = {name: [f"127.0.0.1:{stack.ports[name]}"] for name in names}
    url = f"http://127.0.0.1:{stack.ports['inference']}"
    rules = tmp_path / "rules"
    rules.mkdir()
    with running_prometheus(tmp_path / "prometheus", targets, rules=with_short_waits(rules)) as prometheus:
        prometheus.wait_for_targets()
        ask(url)
        prometheus.wait_for('homeostat_sink_rows_total{kind="predictions"}')
        rung: dict[str, str] = {}
        ends = time.monotonic() + LOOKING_S
        while time.monotonic() < ends:
            ask(url)
            for alert in prometheus.alerts():
                rung[alert["labels"]["alertname"]] = alert["annotations"]["description"]
            time.sleep(0.5)
        # Two hours are what tells a mirror at work from one that is behind, and two hours are what this test has not got.
        rung.pop("HomeostatMlflowSyncBehind", None)
        assert rung == {}
        groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
        assert len({group["file"] for group in groups}) == len(SHIPPED_RULES)
        unwell = [rule["name"] for group in groups for rule in group["rules"] if rule["health"] != "ok"]
        assert unwell == []
        assert prometheus.query("homeostat:request_errors:ratio_rate5m")[0].value == 0
