"""A disk that fills up while a run is at work, on a real small file system: waited for, and the run ends once it is free."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests import local_http
from tests.fakes.retraining_installation import MODEL, make_installation
from tests.fakes.retraining_service import ServiceProcess, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(400)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Forty megabytes; skips where this user may not mount."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> None:
    for name, piece in (("large", 65536), ("small", 512)):
        with suppress(OSError), (place / name).open("wb", buffering=0) as file:
            while file.write(b"x" * piece) == piece:
                pass


def free(place: Path) -> None:
    for name in ("large", "small"):
        (place / name).unlink()


def test_full_disk_only_delays_runs(small_disk: Path, tmp_path: Path) -> None:
    installation = make_installation(small_disk / "installation", days=15)
    service = ServiceProcess(installation)
    service.log = tmp_path / "service.log"
    trigger = {"model": MODEL, "reason": "please", "key": "one"}
    try:
        service.start()
        service.deploy()
        fill(small_disk)
        response = local_http.post(
            service.url("/triggers"), json=trigger, headers=installation.headers, timeout=60
        )
        assert response.status_code == 503
        assert "database or disk is full" in response.json()["error"]
        free(small_disk)

        run_id = service.post("/triggers", trigger, expect=202)["causes"][0]["run_id"]
        wait_for(installation.trainings, 60, "the training to begin")
        fill(small_disk)
        with suppress(AssertionError):
            wait_for(service.ended_runs, 8, "a run that ends although the disk is full")
        free(small_disk)
        wait_for(service.ended_runs, 180, f"the run to end; the log: {service.log}")
        [run] = service.ended_runs()
        assert run["run_id"] == run_id
        # The training command may itself have run into the full disk: that is reported as its failure.
        assert run["state"] in ("promoted", "failed"), run["reason"]
        released = [entry.run_id for entry in installation.store.releases(MODEL)]
        assert released == (["", run_id] if run["state"] == "promoted" else [""])
    finally:
        service.end()
