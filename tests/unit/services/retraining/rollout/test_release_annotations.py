"""Grafana annotations of releases: once per release, and a Grafana that hangs or is unavailable blocks nothing."""

from __future__ import annotations

import socket
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import SecretStr

from services.retraining.bootstrap import Service, build
from services.retraining.rollout.release_annotations import announce
from services.retraining.settings import RetrainingSettings
from shared.contracts.release import Release
from tests.fakes.grafana_server import TOKEN, grafana
from tests.fakes.in_process_models import open_in_process
from tests.fakes.retraining_installation import (
    MODEL,
    START,
    Installation,
    make_installation,
    package_poor_champion,
)
from tests.fakes.retraining_service import wait_for
from tests.waiting import bound

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

HERE = "http://127.0.0.1"
SETTINGS = RetrainingSettings(listen=False, mlflow=False, poll_seconds=0.05, latency_calls=5)


@dataclass
class Pinboard:
    """Records annotations."""

    annotations: list[tuple[str, tuple[str, ...], datetime | None]] = field(default_factory=list)

    def annotate(self, text: str, tags: Sequence[str], at: datetime | None = None) -> None:
        self.annotations.append((text, tuple(tags), at))

    def close(self, timeout_s: float = 0.0) -> None:
        pass


def test_annotation_names_version_and_actor() -> None:
    board = Pinboard()
    done = Release(
        model=MODEL,
        generation=3,
        version="b" * 64,
        reason="promotion",
        actor="loop",
        note="gain +0.1",
        released_at=START,
    )
    announce(board, done, "http://console/runs/r/gate")
    announce(board, done.model_copy(update={"reason": "rollback", "actor": "ann", "note": ""}))
    bees = "b" * 12
    assert board.annotations == [
        (
            f"toy: generation 3 is version {bees}, promotion by loop: gain +0.1 (http://console/runs/r/gate)",
            ("homeostat", "release", "model:toy"),
            START,
        ),
        (
            f"toy: generation 3 is version {bees}, rollback by ann",
            ("homeostat", "rollback", "model:toy"),
            START,
        ),
    ]


def act(installation: Installation, service: Service, client: TestClient, better: str) -> None:
    """Deploy two versions, one of them twice, roll back, and have the loop release one."""
    for version in (installation.champion, better, better):
        body = {"version": version, "project_directory": str(installation.project), "actor": "ann"}
        client.post(f"/models/{MODEL}/deployments", json=body).raise_for_status()
    client.post(f"/models/{MODEL}/rollback", json={"actor": "bob"}).raise_for_status()
    cause = client.post("/triggers", json={"model": MODEL, "reason": "please"}).json()["causes"][0]
    wait_for(lambda: service.deps.ledger.run(cause["run_id"]).state == "promoted", 60, "the release")


def open_world(place: Path) -> tuple[Installation, str]:
    installation = make_installation(place, days=15)
    return installation, package_poor_champion(
        place, installation.spec, installation.store, installation.keys, slope=-0.4
    )


@contextmanager
def opened(installation: Installation, url: str) -> Iterator[tuple[Service, TestClient]]:
    settings = installation.settings.model_copy(
        update={"grafana_url": url, "grafana_token": SecretStr(TOKEN)}
    )
    service = build(settings, SETTINGS, open_model=open_in_process)
    with TestClient(service.app, base_url=HERE, headers=installation.headers) as client:
        yield service, client


def counted(client: TestClient) -> dict[str, float]:
    lines = client.get("/metrics").text.splitlines()
    start = 'homeostat_retraining_annotations_total{result="'
    return {
        line[len(start) :].split('"')[0]: float(line.split()[-1]) for line in lines if line.startswith(start)
    }


def test_every_release_is_annotated_once(tmp_path: Path) -> None:
    installation, better = open_world(tmp_path)
    with grafana() as server, opened(installation, server.url) as (service, client):
        act(installation, service, client, better)
        wait_for(lambda: counted(client) == {"sent": 4.0}, 20, "four marks")
        assert [annotation["tags"] for annotation in server.annotations] == [
            ["homeostat", kind, "model:toy"] for kind in ("release", "release", "rollback", "release")
        ]
        assert server.violations == []


def test_hanging_grafana_blocks_nothing(tmp_path: Path) -> None:
    installation, better = open_world(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never says a word
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with opened(installation, url) as (service, client):
            act(installation, service, client, better)
            assert [entry.reason for entry in installation.store.releases(MODEL)] == [
                "deployment", "deployment", "rollback", "promotion",
            ]  # fmt: skip
            began = time.monotonic()
        assert time.monotonic() - began < bound(15)
