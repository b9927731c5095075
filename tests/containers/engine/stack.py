"""The composition on an engine, as a person drives it: commands of docs/containers.md, requests, rows in the lake."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.containers.composition import ROOT
from tests.containers.engine.checks import CheckFailed, expect
from tests.containers.engine.engine import DebianEngine, MachineEngine

# Not that of compose.yaml: a stack of the machine's user is not touched.
PROJECT = "homeostat-walk"
PAGE = ROOT / "docs" / "containers.md"
# Within the template's example data, whose end must stay the newest time: a training takes rows from weeks before that.
EVENT_TIME = "2026-01-20T12:00:00+00:00"
ROW = {"service": "express", "distance_km": 400.0, "weight_kg": 2.5, "parcels_today": 400}
COUNT_ROWS = """
import sys
from shared.stores.lake import Lake
lake = Lake("/data/lake")
table = lake.open(lake.predictions(sys.argv[1]))
print(0 if table is None else table.to_pyarrow_table(columns=["prediction_id"]).num_rows, flush=True)
"""


def documented(heading: str, place: int = 0) -> str:
    """The commands of a section of docs/containers.md, those of its block number `place`."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    commands: str = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)[place]
    return commands.replace("homeostat_$volume", f"{PROJECT}_$volume")


class Stack:
    """Commands in the clone, on the engine."""

    def __init__(self, engine: MachineEngine | DebianEngine, clone: Path, variables: dict[str, str]) -> None:
        self._engine, self._clone, self._variables = engine, clone, variables

    def at(self, clone: Path) -> Stack:
        """The same composition, from another clone."""
        return Stack(self._engine, clone, self._variables)

    def run(self, command: str, *, timeout_s: float = 600.0) -> str:
        """Run bash commands to their end; what they printed. Raises CheckFailed."""
        done = self.attempt(command, timeout_s=timeout_s)
        if done.returncode != 0:
            raise CheckFailed(
                f"{command.strip()}: exit code {done.returncode}\n{done.stdout[-1500:]}{done.stderr[-2500:]}"
            )
        return done.stdout

    def attempt(self, command: str, *, timeout_s: float = 600.0) -> subprocess.CompletedProcess[str]:
        """Run bash commands to their end, whatever that is."""
        return self._engine.run(command, self._clone, timeout_s=timeout_s, variables=self._variables)

    def compose(self, arguments: str, *, timeout_s: float = 900.0) -> str:
        """Run `docker compose`. Raises CheckFailed."""
        return self.run(f"docker compose {arguments}", timeout_s=timeout_s)

    def containers(self) -> list[dict[str, Any]]:
        """All containers of the composition, also ended ones."""
        return [json.loads(line) for line in self.compose("ps --all --format json").splitlines()]

    def get(self, port: int, path: str, key: str = "admin") -> str:
        """What a published port answers. Raises CheckFailed."""
        return self.run(f'{self._curl(key)} "http://127.0.0.1:{port}{path}"')

    def predict(self, model: str) -> dict[str, Any]:
        """One prediction through the published port. Raises CheckFailed."""
        body = json.dumps({"model": model, "event_time": EVENT_TIME, "rows": [ROW]})
        found = self.run(
            f"{self._curl()} --json '{body}' http://127.0.0.1:8000/predict",
        )
        answer: dict[str, Any] = json.loads(found)
        return answer

    def rows(self, model: str) -> int:
        """Number of predictions in the lake, read by the program of another container than the one that wrote them."""
        return int(self.compose(f"exec -T drift python -c '{COUNT_ROWS}' {model}").split()[-1])

    def settled_rows(self, model: str, *, within_s: float = 180.0) -> int:
        """Number of predictions in the lake once no more arrive. Raises CheckFailed."""
        ends, last = time.monotonic() + within_s, -1
        while (found := self.rows(model)) != last:
            expect(time.monotonic() < ends, f"rows still arrive: {found}")
            last = found
            time.sleep(8)
        return found

    def await_rows(self, model: str, expected: int, *, within_s: float = 180.0) -> None:
        """Wait until the lake has exactly so many predictions. Raises CheckFailed."""
        ends = time.monotonic() + within_s
        while (found := self.rows(model)) != expected:
            expect(
                found < expected and time.monotonic() < ends, f"{found} rows in the lake, expected {expected}"
            )
            time.sleep(2)

    def await_healthy(self, *, within_s: float = 420.0) -> None:
        """Wait until every container with a health check is healthy. Raises CheckFailed."""
        ends = time.monotonic() + within_s
        while lacking := [
            f"{one['Service']}: {one['State']} {one['Health']}"
            for one in self.containers()
            if one["Service"] not in ("keys", "topics", "demo")
            and (one["Health"], one["State"]) != ("healthy", "running")
        ]:
            expect(time.monotonic() < ends, ", ".join(lacking))
            time.sleep(2)

    def host_kill(self, service: str, image: str) -> None:
        """Kill a container's first process as the machine's administrator would: its restart policy brings it back."""
        container = self.compose(f"ps --quiet {service}").strip()
        restarts = f"docker inspect --format '{{{{.RestartCount}}}}' {container}"
        before = self.run(restarts)
        process = self.run(f"docker inspect --format '{{{{.State.Pid}}}}' {container}").strip()
        self.run(f"docker run --rm --privileged --pid host {image} sh -c 'kill -9 {process}'")
        ends = time.monotonic() + 30
        while self.run(restarts) == before:
            expect(time.monotonic() < ends, f"{service} was not started again")
            time.sleep(1)

    def _curl(self, key: str = "admin") -> str:
        login = f'"Authorization: Bearer $(cat secrets/{key}_key)"'
        return f"curl --silent --show-error --fail-with-body --max-time 30 --header {login}"
