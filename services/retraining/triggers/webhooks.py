"""Parses the body of `POST /triggers`: our own format, Alertmanager's (v4) and Grafana's. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, get_args
from uuid import uuid4

from services.retraining.cause import UNCLEAR, Cause, external_key
from shared.access.caller import Caller
from shared.access.installation_keys import ALERTMANAGER
from shared.contracts.event_time import parse_event_time, parse_time
from shared.contracts.loop_spec import MODEL_NAME
from shared.contracts.verdict import State
from shared.errors import InvalidRequest
from shared.messaging.record_mac import RecordMac
from shared.messaging.verdict_attestation import find_flaw
from shared.validation_text import show

MAX_ALERTS = 500
VERDICT_ID = "[0-9a-f]{32}"
VERSION = "[0-9a-f]{64}"
STATE = "|".join(get_args(State))
# Grafana's own alerts about a rule, and the reasons it adds to a rule's alert in the annotation `grafana_state_reason`.
_NO_DATA_ALERTS = frozenset({"DatasourceNoData", "DatasourceError"})
_NO_DATA_REASONS = frozenset({"NoData", "Error"})


def read_triggers(
    body: object, now: datetime, caller: Caller, mac: RecordMac | None = None
) -> tuple[list[Cause], list[str]]:
    """The causes in a body, and why other alerts were ignored. Raises InvalidRequest if there is no valid cause.

    `now` limits the event time of a request, because cooldowns and schedules count from it. `caller` made the request. With
    `mac`, what the installation's Alertmanager sends must be alerts about verdicts that drift has attested: Alertmanager takes
    alerts of anybody who can reach it.
    """
    if not isinstance(body, dict):
        raise InvalidRequest(
            "the body is not a JSON object", field="body", expected="a JSON object", status=400
        )
    if isinstance(body.get("alerts"), list):
        return _alerts(body["alerts"], caller, mac if caller.name == ALERTMANAGER else None)
    if mac is not None and caller.name == ALERTMANAGER:
        raise InvalidRequest(
            "the key alertmanager may send alerts only",
            field="alerts",
            expected="Alertmanager's webhook body",
        )
    return [_own(body, now, caller)], []


def _own(body: dict[str, Any], now: datetime, caller: Caller) -> Cause:
    """{"model", "reason", "key"?, "actor"?, "event_time"?}. The same key is the same cause; without a key, each is new."""
    unknown = sorted(set(body) - {"model", "reason", "key", "actor", "event_time"})
    if unknown:
        raise InvalidRequest(
            f"unknown field {unknown[0]}",
            field=unknown[0],
            expected="model, reason, key, actor or event_time",
        )
    model = _model(body.get("model"), "model")
    texts = {}
    for name, fallback in (("reason", ""), ("key", ""), ("actor", "")):
        value = body.get(name, fallback)
        if not isinstance(value, str) or len(value) > 500 or (name == "reason" and not value.strip()):
            raise InvalidRequest(
                f"{name} is missing or is not a text of at most 500 characters",
                field=name,
                expected="a text of 1 to 500 characters",
            )
        texts[name] = value
    event_time = body.get("event_time")
    return Cause(
        key=external_key(model, "request", texts["key"] or uuid4().hex),
        model=model,
        source="request",
        reason=texts["reason"],
        actor=caller.actor(texts["actor"]),
        event_time=(None if event_time is None else parse_event_time(event_time, now, field="event_time")),
    )


def _alerts(alerts: list[Any], caller: Caller, mac: RecordMac | None) -> tuple[list[Cause], list[str]]:
    """One cause per alert. Its key is made of fingerprint and startsAt: an alert that is sent again, grouped differently or sent
    by a second Alertmanager is the same cause. An alert that a rule got no data says nothing about the model: it is no cause."""
    if len(alerts) > MAX_ALERTS:
        raise InvalidRequest(
            f"the body has {len(alerts)} alerts",
            field="alerts",
            expected=f"at most {MAX_ALERTS} alerts",
            status=413,
            hint=f"set max_alerts of the webhook receiver to {MAX_ALERTS}, and group alerts by model",
        )
    causes: list[Cause] = []
    ignored: list[str] = []
    without_data = 0
    for place, alert in enumerate(alerts):
        if name := _without_data(alert):
            ignored.append(f"alerts[{place}] ({name}) reports that a rule has no data, which is not a cause")
            without_data += 1
            continue
        try:
            causes.append(_alert(alert, f"alerts[{place}]", caller, mac))
        except InvalidRequest as error:
            ignored.append(error.message)
    if not causes and not without_data:
        raise InvalidRequest(
            ignored[0] if ignored else "the body has no alerts",
            field="alerts",
            expected="at least one alert with a label `model` and startsAt",
            hint="add the label `model` to the alert rule",
        )
    return causes, ignored


def _without_data(alert: object) -> str:
    """What makes an alert one about missing data: its name or Grafana's reason; empty for any other alert."""
    if not isinstance(alert, dict):
        return ""
    labels, annotations = alert.get("labels"), alert.get("annotations")
    name = labels.get("alertname") if isinstance(labels, dict) else None
    if isinstance(name, str) and name in _NO_DATA_ALERTS:
        return name
    reason = annotations.get("grafana_state_reason") if isinstance(annotations, dict) else None
    found = _NO_DATA_REASONS.intersection(reason.split(", ")) if isinstance(reason, str) else ()
    return next(iter(sorted(found)), "")


def _text(value: object) -> str:
    """A label or annotation: Alertmanager's are text, other senders may nest anything."""
    return value if isinstance(value, str) else show(value)


def _alert(alert: object, place: str, caller: Caller, mac: RecordMac | None) -> Cause:
    if not isinstance(alert, dict):
        raise InvalidRequest(f"{place} is not an object", field=place, expected="an alert")
    labels, annotations = alert.get("labels"), alert.get("annotations")
    labels = labels if isinstance(labels, dict) else {}
    annotations = annotations if isinstance(annotations, dict) else {}
    model = _model(labels.get("model"), f"{place}.labels.model")
    if not labels.get("alertname"):
        raise InvalidRequest(
            f"{place}.labels.alertname is missing, so no rule is behind the alert",
            field=f"{place}.labels.alertname",
            expected="the name of the alert rule",
        )
    if mac is not None:
        _check_attestation(mac, model, annotations, place)
    starts = parse_time(alert.get("startsAt"), field=f"{place}.startsAt")
    fingerprint = alert.get("fingerprint") or "\n".join(
        f"{name}={_text(labels[name])}" for name in sorted(labels)
    )
    resolved = alert.get("status") == "resolved"
    about = None if resolved else _verdict(annotations)
    name = _text(labels["alertname"])
    text = _text(annotations.get("summary") or annotations.get("description") or "")
    return Cause(
        key=external_key(
            model, "alert", _text(fingerprint), starts.isoformat(), "resolved" if resolved else "firing"
        ),
        model=model,
        source="alert",
        reason=(f"{name}: {text}" if text else name)[:500],
        actor=caller.name,
        resolved=resolved,
        about=about,
        about_version=_annotation(annotations, "version", VERSION),
        about_state=_annotation(annotations, "verdict_state", STATE),
    )


def _check_attestation(mac: RecordMac, model: str, annotations: dict[str, Any], place: str) -> None:
    """Raises InvalidRequest for an alert about anything but a verdict of drift."""
    attested = [annotations.get(name) for name in ("verdict_mac", "verdict_id", "version", "verdict_state")]
    texts = [text if isinstance(text, str) else "" for text in attested]
    if flaw := find_flaw(mac, texts[0], model, *texts[1:]):
        raise InvalidRequest(
            f"{place} is not a cause: {flaw}",
            field=f"{place}.annotations.verdict_mac",
            expected="an alert of the shipped rules about a verdict",
            hint="for alerts of your own, give Alertmanager a key of its own: `homeostat keys create NAME --scope operate`",
        )


def _annotation(annotations: dict[str, Any], name: str, form: str) -> str:
    """The value of an annotation; empty if it is missing or does not match `form`."""
    value = annotations.get(name)
    return value if isinstance(value, str) and re.fullmatch(form, value) else ""


def _verdict(annotations: dict[str, Any]) -> str | None:
    """The verdict that an alert names in its annotation `verdict_id`. An empty or invalid value is UNCLEAR, not None:
    such an alert is about a verdict and must not start a run in addition to it."""
    if "verdict_id" not in annotations:
        return None
    text = annotations["verdict_id"]
    return text if isinstance(text, str) and re.fullmatch(VERDICT_ID, text) else UNCLEAR


def _model(value: object, field: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(MODEL_NAME, value):
        raise InvalidRequest(
            f"{field} is missing or is not a model name", field=field, expected="the name of a deployed model"
        )
    return value
