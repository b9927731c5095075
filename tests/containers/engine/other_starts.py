"""Starts that a walk makes beside the first one: three brokers, and today's services on the volumes of an earlier commit."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

from tests.containers.composition import ROOT
from tests.containers.engine.checks import Checks, expect
from tests.containers.engine.stack import Stack, documented
from tests.containers.engine.walk import init_and_deploy

BROKERS = "export COMPOSE_FILE=compose.yaml:compose.brokers.yaml; "
MODEL = "numpy"
BROKERS_MODEL = "brokers"  # not a project of the walk before: its folder must not exist
ROWS = 20


def three_brokers(stack: Stack, checks: Checks) -> None:
    """A new installation with `compose.brokers.yaml`: one broker is killed, and no row is missing or there twice."""

    def start() -> None:
        stack.compose("--profile '*' down --volumes")
        stack.run(documented("Encrypted connections and other brokers", 1), timeout_s=900)
        stack.run(f"{BROKERS} {init_and_deploy(BROKERS_MODEL)}", timeout_s=300)

    def one_dies() -> None:
        before = stack.settled_rows(BROKERS_MODEL)
        stack.run(f"{BROKERS} docker compose kill kafka-2")
        for _ in range(ROWS):
            stack.predict(BROKERS_MODEL)
        stack.await_rows(BROKERS_MODEL, before + ROWS)

    if checks("three brokers: a new installation is healthy, and has a model", start):
        checks("three brokers: one is dead, each prediction is in the lake once", one_dies)
    stack.attempt(f"{BROKERS} docker compose --profile '*' down --volumes")


def upgrade(stack: Stack, checks: Checks, work: Path, commit: str) -> None:
    """Volumes written by the images of `commit`, then section `Upgrades` in today's clone."""
    earlier = work / "earlier"
    subprocess.run(["rm", "-rf", str(earlier)], check=True)
    earlier.mkdir()
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x"], cwd=earlier, input=packed, check=True)
    old = stack.at(earlier)
    seen: dict[str, Any] = {}

    def decisions(where: Stack) -> list[tuple[int, str]]:
        found = json.loads(where.get(8003, "/decisions?limit=1"))["decisions"]
        return [(one["id"], one["decided_at"]) for one in found]

    def start_earlier() -> None:
        stack.compose("--profile '*' down --volumes")
        old.run("deploy/containers/secrets.sh && docker compose up --build --detach --wait", timeout_s=2400)
        old.run(f"docker compose --profile tools build cli && {init_and_deploy(MODEL)}", timeout_s=900)
        old.predict(MODEL)
        old.compose(f"run --rm cli trigger {MODEL} --reason walk")
        seen.update(rows=old.settled_rows(MODEL), decisions=decisions(old))

    def start_today() -> None:
        stack.run(
            f"cp -r {earlier}/secrets {earlier}/.env . && cp -r {earlier}/deploy/containers/projects/. deploy/containers/projects"
        )
        stack.run(documented("Upgrades"), timeout_s=2400)
        stack.await_healthy()
        expect(stack.predict(MODEL)["generation"] == 1, "the version of the earlier release answers")
        stack.await_rows(MODEL, seen["rows"] + 1)
        found = decisions(stack)
        expect(found and found == seen["decisions"], f"{found}, expected {seen['decisions']}")

    if checks(f"upgrade: the services of {commit} write their volumes", start_earlier):
        checks("upgrade: today's services start on them, and keep versions, rows and decisions", start_today)
        checks("upgrade: doctor finds nothing", partial(stack.compose, "run --rm cli doctor"))
