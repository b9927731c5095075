"""`homeostat dashboards publish` as a person runs it: a process of its own, against Grafana, one that hangs, and none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fakes.grafana_server import TOKEN, Trouble, grafana
from tests.waiting import bound

ROOT = Path(__file__).parents[3]


def publish(url: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With the token in a file, as a container would have it."""
    token = folder / "token"
    token.write_text(f"{TOKEN}\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOMEOSTAT_")}
    environment |= {
        "HOMEOSTAT_GRAFANA_URL": url,
        "HOMEOSTAT_GRAFANA_TOKEN_FILE": str(token),
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        [sys.executable, "-m", "cli", "dashboards", "publish", "--json", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=bound(120),
    )


def test_publish_twice_from_another_folder(tmp_path: Path) -> None:
    with grafana("13.3.0") as server:
        first = publish(server.url, tmp_path, "--prometheus-url", "http://prometheus:9090")
        assert first.returncode == 0, first.stderr
        assert {item["result"] for item in json.loads(first.stdout)["items"]} == {"created"}
        before = len(server.writes)
        second = publish(server.url, tmp_path)
        assert {item["result"] for item in json.loads(second.stdout)["items"]} == {"unchanged"}
        assert len(server.writes) == before
        assert server.violations == []
        assert TOKEN not in first.stdout + first.stderr + second.stdout + second.stderr


@pytest.mark.parametrize("kind", ["hang", "trickle"])
def test_hanging_grafana_ends_in_bounded_time(tmp_path: Path, kind: str) -> None:
    with grafana() as server:
        server.always = Trouble(kind)  # type: ignore[arg-type]
        start = time.monotonic()
        done = publish(server.url, tmp_path)
        assert time.monotonic() - start < bound(45), (
            "the client's deadline is 15 s, the rest is Python's start"
        )
        assert done.returncode == 5
        assert "HOMEOSTAT_GRAFANA_URL" in json.loads(done.stdout)["hint"]
        assert server.writes == []


def test_missing_grafana_url(tmp_path: Path) -> None:
    with grafana() as server:
        url = server.url
    done = publish(url, tmp_path)
    assert done.returncode == 5
    assert "no connection" in json.loads(done.stdout)["error"]
