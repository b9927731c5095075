"""The log as it runs: load generators, shipper and sink as processes against a real broker, to be killed and started again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from shared.models.signed_versions.installation_keys import ensure_keys
from shared.spool.drop_counter import read_drops
from shared.stores.lake import Lake
from tests import local_http
from tests.fakes.rows import NOON
from tests.waiting import bound, time_factor

_FOREVER = timedelta(days=365)


class LogProcesses:
    """One installation below `home`; its rows carry a model name of their own, since topics outlive a test."""

    def __init__(
        self,
        home: Path,
        bootstrap: str,
        *,
        spool_bytes: int = 64 << 20,
        rows_per_second: int = 400,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        ensure_keys(home)
        self.model = f"m{uuid4().hex[:10]}"
        self.lake = Lake(str(home / "lake"))
        self._spool_bytes = spool_bytes
        self._rows_per_second = rows_per_second
        self._environment = dict(
            os.environ,
            HOMEOSTAT_HOME=str(home),
            HOMEOSTAT_KAFKA=bootstrap,
            HOMEOSTAT_SHIPPER_PORT="0",
            HOMEOSTAT_SHIPPER_DELIVERY_SECONDS="5",
            HOMEOSTAT_SINK_PORT="0",
            HOMEOSTAT_SINK_GROUP=self.model,
            HOMEOSTAT_SINK_COMPACT_COMMITS="10",
            **(environment or {}),
        )
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._starts = 0

    def other_machine(self) -> LogProcesses:
        """The same installation on another machine: a home of its own with the same keys, the same lake, broker and group."""
        home = self.home / "other"
        shutil.copytree(self.home / "keys", home / "keys")
        other = LogProcesses(home, "")
        other.model, other.lake = self.model, self.lake
        other._environment = self._environment | {
            "HOMEOSTAT_HOME": str(home),
            "HOMEOSTAT_LAKE": str(self.home / "lake"),
        }
        return other

    def start(self, *names: str) -> None:
        """Start `load`, `shipper` or `sink` and wait until they work; their output goes to a file below `home`."""
        length = {name: len(self.output(name)) for name in names}
        for name in names:
            self._starts += 1
            if name == "load":
                command = [
                    "-m", "tests.fakes.load", str(self.home / "spool"), str(self.home / "lists"), self.model,
                    f"{self._starts}-", str(self._rows_per_second), str(self._spool_bytes),
                ]  # fmt: skip
            else:
                command = ["-m", "services.prediction_log", name]
            with open(self.home / f"{name}.log", "ab") as output:
                self._running[name] = subprocess.Popen(
                    [sys.executable, *command], env=self._environment, stdout=output, stderr=output
                )
        for name in names:
            self.wait_for(lambda name=name: "started" in self.output(name)[length[name] :], f"{name} started")  # type: ignore[misc]

    def change(self, **environment: str) -> None:
        """Settings of the processes that are started from now on."""
        self._environment |= environment

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self._running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait(bound(10))

    def stop(self, *names: str) -> None:
        """SIGTERM, and wait for a clean end."""
        for name in names or tuple(self._running):
            process = self._running.pop(name)
            process.terminate()
            try:
                code = process.wait(bound(30))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(bound(10))
                raise
            assert code == 0, f"{name} ended with {code}: {self.output(name)[-2000:]}"

    def output(self, name: str) -> str:
        """What a process said."""
        path = self.home / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def metric(self, name: str, series: str) -> float | None:
        """What the running shipper or sink tells of a series, written as Prometheus does; None where it has none."""
        started = [line for line in self.output(name).splitlines() if '"event": "started"' in line]
        url = f"http://127.0.0.1:{json.loads(started[-1])['port']}/metrics"
        values = dict(
            line.rsplit(" ", 1) for line in local_http.get(url, timeout=bound(10)).text.splitlines()
        )
        return float(values[series]) if series in values else None

    def listed(self, name: str) -> list[str]:
        """One of the load's lists."""
        path = self.home / "lists" / name
        return path.read_text().split() if path.exists() else []

    def in_lake(self) -> list[str]:
        """Ids in the lake, repeats included."""
        table = self.lake.read_predictions(self.model, NOON - _FOREVER, NOON + _FOREVER, ["prediction_id"])
        found: list[str] = table["prediction_id"].to_pylist()
        return found

    def outcomes_in_lake(self) -> list[str]:
        """Prediction ids of the outcomes in the lake, repeats included."""
        table = self.lake.read_outcomes(self.model, NOON - _FOREVER, NOON + _FOREVER)
        found: list[str] = table["prediction_id"].to_pylist()
        return found

    def dropped_on_disk(self, model: str = "", kind: str = "predictions") -> int:
        """Rows of a model (empty: of all) that were dropped, as the drop counters of the writers say."""
        return sum(
            drop.dropped
            for folder in (self.home / "spool").iterdir()
            for drops in read_drops(folder).values()
            for drop in drops
            if drop.kind == kind and model in ("", drop.model)
        )

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Wait, with a limit and a message."""
        deadline = time.monotonic() + seconds * time_factor()
        while not condition():
            if time.monotonic() > deadline:
                tails = "\n".join(f"--- {name}\n{self.output(name)[-1500:]}" for name in self._running)
                raise AssertionError(f"not within {seconds:g} s: {what}\n{tails}")
            time.sleep(0.2)

    def wait_until_settled(self, seconds: float = 60) -> None:
        """Wait until everything answered and every acknowledged outcome is in the lake."""
        answered, acknowledged = set(self.listed("answered")), set(self.listed("acknowledged"))
        self.wait_for(lambda: answered <= set(self.in_lake()), "everything answered is in the lake", seconds)
        self.wait_for(
            lambda: acknowledged <= set(self.outcomes_in_lake()),
            "every acknowledged outcome is in the lake",
            seconds,
        )

    def check_conservation(self, *, kills_of_load: int) -> None:
        """answered = lake + counted drops, exactly; no repeats; nothing from nowhere.

        A writer killed between its append and its reply leaves one request in the lake without a reply, and one killed
        between an append that did not hold and its note leaves one counted drop: at most one request a kill, five rows at most.
        """
        lake, answered = self.in_lake(), set(self.listed("answered"))
        begun, dropped = set(self.listed("begun")), set(self.listed("dropped"))
        assert len(lake) == len(set(lake)), "repeats in the lake"
        assert answered <= set(lake), f"lost: {sorted(answered - set(lake))[:10]}"
        unanswered = set(lake) - answered
        assert unanswered <= begun - dropped
        assert len(unanswered) <= 5 * kills_of_load
        assert 0 <= self.dropped_on_disk() - len(dropped) <= 5 * kills_of_load
        if not kills_of_load:
            assert len(begun) == len(lake) + self.dropped_on_disk()
        outcomes, acknowledged = self.outcomes_in_lake(), set(self.listed("acknowledged"))
        assert len(outcomes) == len(set(outcomes)), "repeated outcomes in the lake"
        assert acknowledged <= set(outcomes), f"lost outcomes: {sorted(acknowledged - set(outcomes))[:10]}"
        assert set(outcomes) - acknowledged <= begun
        assert len(set(outcomes) - acknowledged) <= kills_of_load

    def close(self) -> None:
        """End what still runs."""
        for process in self._running.values():
            process.kill()
            process.wait(bound(10))
        self._running.clear()
