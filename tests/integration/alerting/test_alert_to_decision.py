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
from local_stack.ports import free_port
from shared.access.installation_keys import ALERTMANAGER, PROMETHEUS, key_path
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.verdict import Verdict
from tests.fakes.retraining_service import ServiceProcess, group_from_now
from tests.fakes.verdict_sender import send_verdicts
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
    """Everything on one home: a released version, a lake with a calm hour and a shifted one, and the four processes."""

    def __init__(self, home: Path, stack: ExitStack, *, drift_kafka: str, retraining_kafka: str) -> None:
        self.world = World(home)
        self.home = home
        manifest = self.world.version(LoopSpec.model_validate(PROJECT), ordinary(5000, 1), MODEL)
        project = home / "project"
        project.mkdir()
        (project / "loop.yaml").write_text(yaml.safe_dump(PROJECT))
        self._stack = stack
        self.retraining = self._service(retraining_kafka)
        self.retraining.start()
        body = {"version": manifest.version, "project_directory": str(project), "actor": "ann"}
        self.retraining.post(f"/models/{MODEL}/deployments", body, expect=201)
        self.world.answer(manifest, 1, ordinary(HOUR, 2))
        self.world.answer(manifest, 1, ordinary(HOUR * 2, 3, start=minutes(60), shift=1.0))
        self.drift = Process(home, drift_kafka)
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

    def _service(self, kafka: str) -> ServiceProcess:
        made = ServiceProcess(
            self.world,  # type: ignore[arg-type]  # asked for its home only
            kafka=kafka,
            consumer_group=group_from_now(kafka) if kafka else "",
        )
        self._stack.callback(made.end)
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

    def listen(self, broker: Broker) -> dict[str, Any]:
        """Start retraining anew, listening to `broker` and where Alertmanager does not reach it; the newest decision so far."""
        self.retraining = self._service(broker.bootstrap)
        self.retraining.start()
        return self.decisions()[0]

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


def test_an_alert_alone_leads_to_one_decision_and_its_verdict_to_no_second(
    tmp_path: Path, stack: ExitStack, kafka_broker: Broker
) -> None:
    """Retraining listens to nobody and drift has no broker: the alert is the only way, and it is sent again and again.

    Then retraining is started anew and listens, and the verdict comes over Kafka too.
    """
    loop = Loop(tmp_path, stack, drift_kafka=f"127.0.0.1:{free_port()}", retraining_kafka="")
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

    loop.retraining.end()
    before = loop.listen(kafka_broker)
    sent = Verdict.model_validate(loop.drift.get(f"/verdicts/{verdict['verdict_id']}"))
    send_verdicts(loop.home, kafka_broker.bootstrap, sent)
    eventually(
        lambda: only_decision(loop, verdict)["deliveries"] == before["deliveries"] + 1,
        "the verdict is received over Kafka",
    )
    after = only_decision(loop, verdict)
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
    assert after["cause_state"] == "drift"
    assert datetime.fromisoformat(after["window_end"]) == datetime.fromisoformat(verdict["window_end"])


def test_a_verdict_and_the_alert_after_it_are_one_cause(
    tmp_path: Path, stack: ExitStack, kafka_broker: Broker
) -> None:
    loop = Loop(tmp_path, stack, drift_kafka=kafka_broker.bootstrap, retraining_kafka=kafka_broker.bootstrap)
    verdict = loop.verdict()
    loop.wait_until_sent(SENT)
    # The verdict decides, also where the alert arrived first. The last deliveries may arrive later.
    decision = eventually(
        lambda: (found := only_decision(loop, verdict))["deliveries"] > SENT and found,
        lambda: f"the verdict leads to a run; {loop.logs()}",
        60,
    )
    assert (decision["action"], decision["reason_code"]) == ("suggest", "drift")
    loop.wait_until_sent(1)
    assert only_decision(loop, verdict)["run_id"] == decision["run_id"]
