"""Prometheus and Alertmanager start with the command lines and the mounted files of compose.yaml; here as Debian has them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from deploy.containers.keys import write_monitoring
from local_stack.observability.processes import NAMES
from local_stack.ports import free_port
from tests import local_http
from tests.containers.composition import ROOT, load
from tests.containers.conftest import missing
from tests.containers.sandbox import wait_for
from tests.observability import LOGIN
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
        place = ROOT / source if source.startswith("./") else folder / source
        words = [word.replace(f"={target}", f"={place}") for word in words]
    return words


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_service_starts_as_in_compose_file(name: str, tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "log"
    (tmp_path / "monitoring_password").write_text(LOGIN.password)
    write_monitoring(tmp_path / "data" / "monitoring", tmp_path)
    with log.open("wb") as output:
        process = subprocess.Popen(local_command(name, tmp_path / "data", port), stdout=output, stderr=output)
    base = f"http://127.0.0.1:{port}"
    headers = {"Authorization": LOGIN.authorization}

    def ready() -> bool:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            return local_http.get(f"{base}/-/ready", timeout=2, headers=headers).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        wait_for(ready, seconds=60, what=f"{name} is not ready")
        assert local_http.get(f"{base}/-/ready", timeout=10).status_code == 401
        if name == "prometheus":
            rules = local_http.get(f"{base}/api/v1/rules", timeout=10, headers=headers).json()["data"][
                "groups"
            ]
            assert rules, "the rules beside prometheus.yml were not found below its mount"
        if name == "alertmanager":
            done = subprocess.run(health_check(name, tmp_path, port), capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
    finally:
        process.terminate()
        process.wait(bound(20))


def health_check(name: str, folder: Path, port: int) -> list[str]:
    """The composition's check, with this machine's places. Debian's promtool is too old for that of Prometheus."""
    words: list[str] = load()["services"][name]["healthcheck"]["test"][1:]
    client = folder / "data" / "monitoring" / "client.yml"
    client.write_text(client.read_text().replace("/run/secrets/", f"{folder}/"))
    places = {"/etc/monitoring/client.yml": str(client), "localhost:9093": f"127.0.0.1:{port}"}
    for written, here in places.items():
        words = [word.replace(written, here) for word in words]
    return words


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
