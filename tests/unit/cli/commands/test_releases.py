"""`homeostat releases`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.cli.command import run
from tests.unit.cli.fake_service import RELEASES, VERSION, FakeService


def test_releases_are_listed_newest_first(service: FakeService, tmp_path: Path) -> None:
    service.answers["GET /models/flights/releases"] = (200, {"releases": RELEASES})
    shown = run("releases", "flights", "--retraining-url", service.url, "--home", str(tmp_path), "--json")
    assert shown.exit_code == 0
    assert [release["generation"] for release in json.loads(shown.stdout)["releases"]] == [2, 1]
    table = run("releases", "flights", "--retraining-url", service.url, "--home", str(tmp_path))
    assert VERSION[:12] in table.stdout
    assert VERSION not in table.stdout


def test_the_watch_of_a_release_is_beside_it(service: FakeService, tmp_path: Path) -> None:
    watch = {"generation": 2, "state": "rolled_back", "reason": "log_loss 0.6, before 0.5"}
    service.answers["GET /models/flights/releases"] = (200, {"releases": RELEASES, "watches": [watch]})
    shown = run("releases", "flights", "--retraining-url", service.url, "--home", str(tmp_path))
    assert "rolled back" in shown.stdout.splitlines()[1]
    assert "watch of generation 2: log_loss 0.6, before 0.5" in shown.stdout
    found = run("releases", "flights", "--retraining-url", service.url, "--home", str(tmp_path), "--json")
    assert json.loads(found.stdout)["watches"] == [watch]
