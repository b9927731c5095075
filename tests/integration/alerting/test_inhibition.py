"""Which alert inhibits which: a real Alertmanager with the shipped rules receives all alerts at once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from tests.observability import SHIPPED_RULES, RunningAlertmanager, eventually, running_alertmanager

Labels = dict[str, str]
SETTLED = 0.3
NO_DOOR = "http://127.0.0.1:9"
# Whatever hides something is asked for by the cases themselves.
SOURCES = {"HomeostatDataFault", "HomeostatKafkaUnavailable", "HomeostatTargetDown"}
DRIFTS = {"HomeostatDrift", "HomeostatPerformanceDrift", "HomeostatInsufficientData"}


def everything() -> list[Labels]:
    """Each alert once, about the model `m`; of those that hide others a fault of a third model. Of two severities the ticket."""
    severities: dict[str, str] = {}
    for path in SHIPPED_RULES:
        for group in yaml.load(path.read_text(), yaml.CSafeLoader)["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    severity = rule["labels"]["severity"]
                    known = severities.get(rule["alert"], severity)
                    severities[rule["alert"]] = severity if known == "page" else known
    alerts = [
        {"alertname": name, "severity": severity, "model": "m"}
        for name, severity in severities.items()
        if name not in SOURCES
    ]
    return [*alerts, {"alertname": "HomeostatDataFault", "severity": "page", "model": "faulty"}]


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAlertmanager]:
    with running_alertmanager(tmp_path_factory.mktemp("alertmanager"), NO_DOOR) as running:
        yield running


def tell(alertmanager: RunningAlertmanager, alerts: Sequence[Labels], *, over: bool = False) -> None:
    now = datetime.now(UTC)
    ends = now - timedelta(seconds=1) if over else now + timedelta(minutes=5)
    body = [
        {"labels": labels, "startsAt": (now - timedelta(minutes=1)).isoformat(), "endsAt": ends.isoformat()}
        for labels in alerts
    ]
    alertmanager.post("/api/v2/alerts", body)


def hidden(alertmanager: RunningAlertmanager) -> set[tuple[str, str]]:
    """Name and model (or else instance) of what is kept from people."""
    return {
        (labels["alertname"], labels.get("model") or labels.get("instance", ""))
        for alert in alertmanager.alerts()
        if alert["status"]["inhibitedBy"]
        for labels in (alert["labels"],)
    }


def down(job: str) -> Labels:
    severity = "page" if job == "inference" else "ticket"
    return {
        "alertname": "HomeostatTargetDown",
        "severity": severity,
        "job": job,
        "instance": f"{job}-a",
    }


def flapping(instance: str) -> Labels:
    return {
        "alertname": "HomeostatTargetFlapping",
        "severity": "ticket",
        "job": instance.split("-")[0],
        "instance": instance,
    }


CASES: dict[str, tuple[list[Labels], set[tuple[str, str]]]] = {
    "nothing": ([], set()),
    "bad data of that model": (
        [{"alertname": "HomeostatDataFault", "severity": "page", "model": "m"}],
        {(name, "m") for name in DRIFTS},
    ),
    "bad data of another model": (
        [{"alertname": "HomeostatDataFault", "severity": "page", "model": "n"}],
        set(),
    ),
    "a page hides the ticket of the same alert about the same model": (
        [
            {"alertname": "HomeostatLatencyBurn", "severity": "page", "model": "m"},
            {"alertname": "HomeostatAvailabilityBurn", "severity": "page", "model": "n"},
        ],
        {("HomeostatLatencyBurn", "m")},
    ),
    "inference is down": ([down("inference")], set()),
    "the shipper is down": ([down("shipper")], {("HomeostatNoOutcomes", "m")}),
    "the sink is down": (
        [down("sink")],
        {("HomeostatNoOutcomes", "m"), ("HomeostatLogFreshnessBurn", "m")},
    ),
    "drift is down": (
        [down("drift")],
        {("HomeostatNoVerdicts", "m"), ("HomeostatVerdictFreshnessBurn", "m")},
    ),
    "retraining is down": (
        [
            down("retraining"),
            {"alertname": "HomeostatAlertsUndelivered", "severity": "ticket", "integration": "webhook"},
            {"alertname": "HomeostatAlertsUndelivered", "severity": "ticket", "integration": "slack"},
        ],
        {("HomeostatNoLeader", "m"), ("HomeostatAlertsUndelivered", "")},
    ),
    "what is down does not flap as well": (
        [down("drift"), flapping("drift-a"), flapping("drift-b")],
        {
            ("HomeostatNoVerdicts", "m"),
            ("HomeostatVerdictFreshnessBurn", "m"),
            ("HomeostatTargetFlapping", "drift-a"),
        },
    ),
    "Kafka is away": (
        [{"alertname": "HomeostatKafkaUnavailable", "severity": "ticket", "instance": "shipper-a"}],
        {
            (f"Homeostat{name}", "m")
            for name in (
                "ShipperBehind",
                "SinkStuck",
                "SinkFailing",
                "VerdictsUnpublished",
                "VerdictsNotReceived",
                "NoOutcomes",
                "LogFreshnessBurn",
            )
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_explains_another_alert_hides_that_and_nothing_else(
    alertmanager: RunningAlertmanager, case: str
) -> None:
    causes, wanted = CASES[case]
    alerts = [*everything(), *causes]
    tell(alertmanager, alerts)
    try:
        eventually(lambda: len(alertmanager.alerts()) == len(alerts), "all alerts are there", 10)
        eventually(
            lambda: hidden(alertmanager) == wanted, f"hidden is {wanted}, not {hidden(alertmanager)}", 3
        )
        # It receives alerts one after another: what it hides too much may be seen a moment later.
        time.sleep(SETTLED)
        assert hidden(alertmanager) == wanted
        if "retraining" in case:
            ways = {
                alert["labels"].get("integration"): bool(alert["status"]["inhibitedBy"])
                for alert in alertmanager.alerts()
                if alert["labels"]["alertname"] == "HomeostatAlertsUndelivered"
            }
            assert ways == {"webhook": True, "slack": False, None: False}
    finally:
        tell(alertmanager, alerts, over=True)
        eventually(lambda: not alertmanager.alerts(), "all alerts are over", 10)
