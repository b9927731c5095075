"""Bodies of `POST /triggers`: our own format, Alertmanager's and Grafana's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.retraining.cause import UNCLEAR
from services.retraining.triggers.webhooks import MAX_ALERTS, read_triggers
from shared.errors import InvalidRequest
from tests.fakes.callers import ADMIN

NOW = datetime(2013, 2, 1, tzinfo=UTC)


def alert(**changes: Any) -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": {"alertname": "LossHigh", "model": "toy", "severity": "page"},
        "annotations": {"summary": "loss of toy is high"},
        "startsAt": "2013-01-31T08:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "c1c2c3",
        **changes,
    }


def alertmanager(*alerts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    body = {
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "homeostat",
    }
    return {
        **body,
        "groupLabels": {},
        "commonLabels": {},
        "externalURL": "http://am",
        "alerts": list(alerts),
        **changes,
    }


def grafana(*alerts: dict[str, Any]) -> dict[str, Any]:
    extra = {"dashboardURL": "", "panelURL": "", "values": {"A": 0.7}, "valueString": "", "silenceURL": ""}
    body = {
        "receiver": "homeostat",
        "status": "firing",
        "orgId": 1,
        "title": "[FIRING:1]",
        "state": "alerting",
        "reason": "",
    }
    return {**body, "alerts": [{**one, **extra} for one in alerts]}


def test_own_format() -> None:
    [cause], ignored = read_triggers(
        {"model": "toy", "reason": "new data", "key": "ticket 7", "actor": "ann"}, NOW, ADMIN
    )
    assert (cause.model, cause.source, cause.reason, cause.actor) == (
        "toy",
        "request",
        "new data",
        "ann (admin)",
    )
    assert ignored == []
    [again], _ = read_triggers({"model": "toy", "reason": "other words", "key": "ticket 7"}, NOW, ADMIN)
    assert again.key == cause.key


def test_request_may_have_an_event_time() -> None:
    body = {"model": "toy", "reason": "new data", "event_time": "2013-02-02T01:00:00+01:00"}
    [cause], _ = read_triggers(body, NOW, ADMIN)
    assert cause.event_time == NOW + timedelta(days=1)


def test_request_without_key_is_a_new_cause() -> None:
    body = {"model": "toy", "reason": "new data"}
    assert read_triggers(body, NOW, ADMIN)[0][0].key != read_triggers(body, NOW, ADMIN)[0][0].key


@pytest.mark.parametrize("wrap", [alertmanager, grafana])
def test_alert_key_is_independent_of_delivery(wrap: Any) -> None:
    [cause], _ = read_triggers(wrap(alert()), NOW, ADMIN)
    assert (cause.model, cause.source, cause.reason, cause.resolved) == (
        "toy",
        "alert",
        "LossHigh: loss of toy is high",
        False,
    )
    regrouped = alertmanager(alert(), groupKey="another", receiver="second")
    assert read_triggers(regrouped, NOW, ADMIN)[0][0].key == cause.key
    same_moment = wrap(alert(startsAt="2013-01-31T09:00:00+01:00"))
    assert read_triggers(same_moment, NOW, ADMIN)[0][0].key == cause.key
    assert read_triggers(wrap(alert(startsAt="2013-02-01T08:00:00Z")), NOW, ADMIN)[0][0].key != cause.key
    assert read_triggers(wrap(alert(fingerprint="d4")), NOW, ADMIN)[0][0].key != cause.key


def test_resolved_alert_is_another_cause() -> None:
    [firing], _ = read_triggers(alertmanager(alert()), NOW, ADMIN)
    [clear], _ = read_triggers(alertmanager(alert(status="resolved"), status="resolved"), NOW, ADMIN)
    assert clear.resolved
    assert clear.key != firing.key


@pytest.mark.parametrize("wrap", [alertmanager, grafana])
def test_alert_may_name_its_verdict(wrap: Any) -> None:
    verdict_id = "0123456789abcdef" * 2
    [cause], _ = read_triggers(wrap(alert(annotations={"verdict_id": verdict_id})), NOW, ADMIN)
    assert (cause.source, cause.about) == ("alert", verdict_id)
    # It stays the alert it is: what it is about may change while it fires.
    assert cause.key == read_triggers(wrap(alert()), NOW, ADMIN)[0][0].key
    assert read_triggers(wrap(alert()), NOW, ADMIN)[0][0].about is None


@pytest.mark.parametrize("wrap", [alertmanager, grafana])
def test_alert_may_have_verdict_annotations(wrap: Any) -> None:
    notes = {"verdict_id": "a" * 32, "version": "b" * 64, "verdict_state": "data_fault"}
    [cause], _ = read_triggers(wrap(alert(annotations=notes)), NOW, ADMIN)
    assert (cause.about_version, cause.about_state) == ("b" * 64, "data_fault")
    for wrong in ("", "<no value>", "b" * 63, "faulty", "fault\n", "b" * 64 + "\n", 5, None):
        odd = {"verdict_id": "a" * 32, "version": wrong, "verdict_state": wrong}
        [cause], _ = read_triggers(wrap(alert(annotations=odd)), NOW, ADMIN)
        assert (cause.about, cause.about_version, cause.about_state) == ("a" * 32, "", ""), wrong


@pytest.mark.parametrize(
    "verdict_id", ["", "<no value>", "0123456789ABCDEF" * 2, "a" * 31, "a" * 33, "a" * 32 + "\n", "../" + "a" * 29, 5, None]
)  # fmt: skip
def test_invalid_verdict_id_is_unclear(verdict_id: object) -> None:
    [cause], ignored = read_triggers(alertmanager(alert(annotations={"verdict_id": verdict_id})), NOW, ADMIN)
    assert (cause.about, ignored) == (UNCLEAR, [])


def test_resolved_alert_names_no_verdict() -> None:
    notes = {"verdict_id": "a" * 32}
    [clear], _ = read_triggers(alertmanager(alert(annotations=notes, status="resolved")), NOW, ADMIN)
    assert (clear.resolved, clear.about) == (True, None)


def test_labels_replace_a_missing_fingerprint() -> None:
    one = alert()
    del one["fingerprint"]
    turned = {**one, "labels": dict(reversed(one["labels"].items()))}
    assert (
        read_triggers(alertmanager(one), NOW, ADMIN)[0][0].key
        == read_triggers(alertmanager(turned), NOW, ADMIN)[0][0].key
    )


def test_alerts_without_model_are_ignored_and_reported() -> None:
    causes, ignored = read_triggers(
        alertmanager(alert(labels={"alertname": "DiskFull"}), alert()), NOW, ADMIN
    )
    assert [cause.model for cause in causes] == ["toy"]
    assert ignored == ["alerts[0].labels.model is missing or is not a model name"]


@pytest.mark.parametrize("labels", [{"model": "toy"}, {"model": "toy", "alertname": ""}])
def test_unnamed_alert_is_ignored_and_reported(labels: dict[str, str]) -> None:
    causes, ignored = read_triggers(alertmanager(alert(labels=labels), alert()), NOW, ADMIN)
    assert len(causes) == 1
    assert ignored == ["alerts[0].labels.alertname is missing, so no rule is behind the alert"]


def grafana_no_data(**changes: Any) -> dict[str, Any]:
    labels = {"alertname": "DatasourceNoData", "rulename": "Loss too high", "model": "toy"}
    return alert(**{"labels": labels, "annotations": {}, **changes})


@pytest.mark.parametrize(
    "about_data",
    [
        grafana_no_data(),
        grafana_no_data(status="resolved"),
        grafana_no_data(labels={"alertname": "DatasourceError", "model": "toy"}),
        alert(annotations={"grafana_state_reason": "NoData"}),
        alert(annotations={"grafana_state_reason": "Error, KeepLast"}),
    ],
)
def test_alert_about_missing_data_is_no_cause(about_data: dict[str, Any]) -> None:
    causes, ignored = read_triggers(grafana(about_data), NOW, ADMIN)
    assert (causes, len(ignored)) == ([], 1)
    assert ignored[0].startswith("alerts[0] (")
    assert "not a cause" in ignored[0]
    causes, ignored = read_triggers(grafana(alert(), about_data), NOW, ADMIN)
    assert ([cause.model for cause in causes], len(ignored)) == (["toy"], 1)


def test_other_state_reasons_stay_causes() -> None:
    for reason in ("MissingSeries", "", 5, None):
        [cause], _ = read_triggers(grafana(alert(annotations={"grafana_state_reason": reason})), NOW, ADMIN)
        assert cause.model == "toy"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"),
        ({}, "model"),
        ({"model": "Toy", "reason": "x"}, "model"),
        ({"model": "toy"}, "reason"),
        ({"model": "toy", "reason": " "}, "reason"),
        ({"model": "toy", "reason": "x" * 501}, "reason"),
        ({"model": "toy", "reason": "x", "key": 5}, "key"),
        ({"model": "toy", "reason": "x", "when": 5}, "when"),
        ({"model": "toy", "reason": "x", "event_time": "soon"}, "event_time"),
        ({"model": "toy", "reason": "x", "event_time": "2013-01-31T00:00:00"}, "event_time"),
        ({"model": "toy", "reason": "x", "event_time": "2013-02-02T00:00:01Z"}, "event_time"),
        ({"model": "toy", "reason": "x", "event_time": "1970-01-01T00:00:00Z"}, "event_time"),
        ({"model": "toy", "reason": "x", "event_time": "9999-12-31T23:59:59-14:00"}, "event_time"),
        ({"alerts": []}, "alerts"),
        ({"alerts": [{"labels": {"model": "toy"}}]}, "alerts"),
        ({"alerts": ["x"]}, "alerts"),
    ],
)
def test_invalid_bodies_name_the_field(body: object, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_triggers(body, NOW, ADMIN)
    assert refused.value.field == field


def test_body_with_thousands_of_alerts_is_refused() -> None:
    alerts = [alert(fingerprint=str(number)) for number in range(MAX_ALERTS + 1)]
    causes, _ = read_triggers(alertmanager(*alerts[:-1]), NOW, ADMIN)
    assert len(causes) == MAX_ALERTS
    with pytest.raises(InvalidRequest, match="has 501 alerts") as refused:
        read_triggers(alertmanager(*alerts), NOW, ADMIN)
    assert (refused.value.status, refused.value.field) == (413, "alerts")
    assert "max_alerts" in refused.value.hint


def test_alert_with_nested_texts_is_read() -> None:
    """Not Alertmanager's, but anybody with the scope may send it; repr follows fewer levels than the JSON parser."""
    deep: Any = 1
    for _ in range(1000):
        deep = {"a": deep}
    nested = alert(annotations={"summary": deep}, fingerprint=deep)
    nested["labels"]["alertname"] = deep
    [cause], _ = read_triggers(alertmanager(nested), NOW, ADMIN)
    assert "nested too deeply to be shown" in cause.reason
