"""Prometheus and Alertmanager start with the command lines and the mounted files of compose.yaml; here as Debian has them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from local_stack.observability.processes import NAMES
from local_stack.ports import free_port
from tests import local_http
from tests.containers.composition import ROOT, load
from tests.containers.conftest import missing
from tests.containers.sandbox import wait_for
from tests.waiting import bound


def local_command(name: str, folder: Path, port: int) -> list[str]:
    """The composition's command with this machine's places for what it mounts."""
    service = load()["services"][name]
    program = next((found for each in NAMES[name] if (found := shutil.which(each))), None)
    if program is None:
        missing(f"{name} is not installed; `make packages` does it")
    assert program is not None
    words = [program, *service["command"], f"--web.listen-address=127.0.0.1:{port}"]
    for text in service["volumes"]:
        source, target, *_ = text.split(":")
        place = ROOT / source if source.startswith("./") else folder
        words = [word.replace(f"={target}", f"={place}") for word in words]
    return words


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_service_starts_as_in_compose_file(name: str, tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(local_command(name, tmp_path / "data", port), stdout=output, stderr=output)
    base = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            return local_http.get(f"{base}/-/ready", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        wait_for(ready, seconds=60, what=f"{name} is not ready")
        if name == "prometheus":
            rules = local_http.get(f"{base}/api/v1/rules", timeout=10).json()["data"]["groups"]
            assert rules, "the rules beside prometheus.yml were not found below its mount"
    finally:
        process.terminate()
        process.wait(bound(20))


def test_grafana_finds_its_boards_where_they_are_mounted() -> None:
    mounts = dict(text.split(":")[:2] for text in load()["services"]["grafana"]["volumes"])
    assert mounts["./dashboards/grafana/provisioning"] == "/etc/grafana/provisioning"
    boards = mounts["./dashboards/grafana/boards"]
    providers = ROOT / "dashboards/grafana/provisioning/dashboards"
    assert [
        file for file in providers.glob("*.y*ml") if f"path: {boards}" in file.read_text(encoding="utf-8")
    ], f"no provider of {providers.relative_to(ROOT)} reads {boards}"
    sources = ROOT / "dashboards/grafana/provisioning/datasources"
    assert [
        file
        for file in sources.glob("*.y*ml")
        if "http://prometheus:9090" in file.read_text(encoding="utf-8")
    ]
