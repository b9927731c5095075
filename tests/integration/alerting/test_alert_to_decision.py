"""From a drifted window to a decision: real drift, Prometheus, Alertmanager and retraining, each a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_stack.kafka.broker import Broker
from shared.access.installation_keys import ALERTMANAGER, PROMETHEUS, key_path
from shared.contracts.loop_spec import LoopSpec
from tests.fakes.retraining_service import ServiceProcess, group_from_now
from tests.integration.drift.processes import Process
from tests.observability import (
    RunningAlertmanager,
    eventually,
    running_alertmanager,
    running_prometheus,
    with_short_waits,
)
from tests.unit.services.drift.world import World, minutes, ordinary

# No other test speaks of this model: the broker and its topics are shared.
MODEL = "alerted"
HOUR = 360  # rows
SENT = 5
PROJECT = {
    "model": MODEL,
    "features": [
        {"name": "x", "type": "number", "nullable": True, "minimum": -50, "maximum": 50},
        {"name": "c", "type": "category", "values": ["a", "b", "d", "e"]},
    ],
    "prediction": {"kind": "probability"},
    "outcome": {"delay": "30m"},
    "metric": {"name": "log_loss"},
    "drift": {"window": {"every": "1h", "minimum_rows": 100}, "false_alarms_per_30_days": 1},
    "retraining": {"command": ["python", "train.py"], "triggers": [{"when": "drift", "kinds": ["feature"]}]},
    "gate": {"holdout": "1d"},
    # A suggested run is written down and waits: the test is about the decision.
    "automation": "suggest",
}


def in_a_hurry(config: dict[str, Any]) -> None:
    """Shortest intervals, so that one alert is sent many times within seconds."""
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1s"}


class Loop:
    """Everything on one home: a released version, a lake with a calm hour and a shifted one, and the four processes.

    Drift publishes its verdicts on `broker`; retraining does not listen yet.
    """

    def __init__(self, home: Path, stack: ExitStack, broker: Broker) -> None:
        self.world = World(home)
        self.home = home
        manifest = self.world.version(LoopSpec.model_validate(PROJECT), ordinary(5000, 1), MODEL)
        project = home / "project"
        project.mkdir()
        (project / "loop.yaml").write_text(yaml.safe_dump(PROJECT))
        self._broker, self._group, self._stack = broker, group_from_now(broker.bootstrap), stack
        self.retraining = self._start_retraining()
        body = {"version": manifest.version, "project_directory": str(project), "actor": "ann"}
        self.retraining.post(f"/models/{MODEL}/deployments", body, expect=201)
        self.world.answer(manifest, 1, ordinary(HOUR, 2))
        self.world.answer(manifest, 1, ordinary(HOUR * 2, 3, start=minutes(60), shift=1.0))
        self.drift = Process(home, broker.bootstrap)
        stack.callback(lambda: self.drift.child.poll() is None and self.drift.end())
        self.alertmanager: RunningAlertmanager = stack.enter_context(
            running_alertmanager(
                home / "alertmanager",
                self.retraining.url(""),
                change=in_a_hurry,
                key_file=key_path(home, ALERTMANAGER),
            )
        )
        rules = home / "rules"
        rules.mkdir()
        self.prometheus = stack.enter_context(
            running_prometheus(
                home / "prometheus",
                {"drift": [f"127.0.0.1:{self.drift.port}"]},
                alertmanagers=[f"127.0.0.1:{self.alertmanager.port}"],
                rules=with_short_waits(rules),
                key_file=key_path(home, PROMETHEUS),
            )
        )

    def _start_retraining(self, kafka: str = "", port: int = 0) -> ServiceProcess:
        made = ServiceProcess(
            self.world,  # type: ignore[arg-type]  # asked for its home only
            kafka=kafka,
            port=port,
            consumer_group=self._group,
        )
        self._stack.callback(made.end)
        made.start()
        return made

    def verdict(self) -> dict[str, Any]:
        """The verdict that says drift, once drift has reached it."""
        found: dict[str, Any] = eventually(
            lambda: next(
                (each for each in self.drift.get("/verdicts")["verdicts"] if each["state"] == "drift"), None
            ),
            "the verdict that says drift",
            60,
        )
        return found

    def wait_until_sent(self, times: int) -> None:
        """Return once Alertmanager has notified retraining `times` more times."""
        before = self.alertmanager.notifications()
        eventually(
            lambda: self.alertmanager.notifications() >= before + times,
            f"the alert was sent {times} times; Prometheus has {self.prometheus.alerts()}",
            60,
        )
        assert self.alertmanager.notifications(failed=True) == 0

    def listen(self) -> dict[str, Any]:
        """Start retraining anew where Alertmanager reaches it, with all of drift's verdicts to read; the decision before that."""
        before = self.decisions()[0]
        self.retraining.end()
        self.retraining = self._start_retraining(self._broker.bootstrap, self.retraining.port)
        return before

    def logs(self) -> str:
        """What the two services wrote last, for a failure's message."""
        logs = (self.retraining.log, self.home / "drift.log")
        return "\n".join(f"{log.name}:\n{log.read_text()[-4000:]}" for log in logs)

    def decisions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.retraining.get(f"/decisions?model={MODEL}")["decisions"]
        return found


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def only_decision(loop: Loop, verdict: dict[str, Any]) -> dict[str, Any]:
    """The one decision about the drifted window; there is no second one under another key, and one run at most."""
    about = [each for each in loop.decisions() if each["cause_key"] == verdict["verdict_id"]]
    assert len(about) == 1
    calm = {each["verdict_id"] for each in loop.drift.get("/verdicts")["verdicts"] if each["state"] == "ok"}
    assert {each["cause_key"] for each in loop.decisions()} <= calm | {verdict["verdict_id"]}
    runs = loop.retraining.get("/runs")["runs"]
    assert [run["run_id"] for run in runs] == ([about[0]["run_id"]] if about[0]["run_id"] else []), about[0]
    return about[0]


def test_an_alert_and_its_verdict_are_one_cause(
    tmp_path: Path, stack: ExitStack, kafka_broker: Broker
) -> None:
    """At first retraining listens to nobody: the alert is the only way, and it is sent again and again.

    Then retraining is started anew and listens. The verdict comes over Kafka too, and after it the alert still does.
    """
    loop = Loop(tmp_path, stack, kafka_broker)
    verdict = loop.verdict()
    [alert] = eventually(
        lambda: [
            each
            for each in loop.prometheus.alerts("firing")
            if each["labels"]["alertname"] == "HomeostatDrift"
        ],
        "HomeostatDrift fires",
    )
    assert alert["labels"] == {"alertname": "HomeostatDrift", "model": MODEL, "severity": "ticket"}
    assert alert["annotations"]["verdict_id"] == verdict["verdict_id"]
    loop.wait_until_sent(SENT)
    decision = only_decision(loop, verdict)
    assert (decision["action"], decision["deliveries"] >= SENT) == ("suggest", True)
    assert decision["cause_state"] == "announced"

    before = loop.listen()
    after = eventually(
        lambda: (found := only_decision(loop, verdict))["cause_state"] == "drift" and found,
        lambda: f"the verdict is received over Kafka; {loop.logs()}",
        60,
    )
    # What was decided stands; the verdict itself is kept with it, and counts among the windows in a row.
    decided = (
        "cause_key",
        "action",
        "reason_code",
        "reason",
        "run_id",
        "decided_at",
        "source",
        "cause_reason",
    )
    assert [after[name] for name in decided] == [before[name] for name in decided]
    assert datetime.fromisoformat(after["window_end"]) == datetime.fromisoformat(verdict["window_end"])
    eventually(
        lambda: only_decision(loop, verdict)["deliveries"] > after["deliveries"],
        "the alert is sent after the verdict, too",
        60,
    )
    assert only_decision(loop, verdict)["run_id"] == decision["run_id"]
