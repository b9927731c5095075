"""The bodies `POST /triggers` takes: our own, and those Alertmanager (v4) and Grafana send. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import uuid4

from services.retraining.cause import UNCLEAR, Cause, external_key
from shared.contracts.event_time import check_event_time
from shared.contracts.loop_spec import MODEL_NAME
from shared.contracts.verdict import State
from shared.errors import InvalidRequest

VERDICT_ID = "[0-9a-f]{32}"
VERSION = "[0-9a-f]{64}"
STATE = "|".join(get_args(State))


def read_triggers(body: object, now: datetime) -> tuple[list[Cause], list[str]]:
    """The causes a body speaks of, and why the rest of it was left out. Raises InvalidRequest where nothing can be used.

    `now` bounds the event time a request may be booked at: cooldowns and schedules count from it.
    """
    if not isinstance(body, dict):
        raise InvalidRequest("the body is not a JSON object", field="body", expected="a mapping", status=400)
    if isinstance(body.get("alerts"), list):
        return _alerts(body["alerts"])
    return [_own(body, now)], []


def _own(body: dict[str, Any], now: datetime) -> Cause:
    """{"model", "reason", "key"?, "actor"?, "event_time"?}. The same key is the same cause; without one, each is new."""
    unknown = sorted(set(body) - {"model", "reason", "key", "actor", "event_time"})
    if unknown:
        raise InvalidRequest(
            f"unknown field {unknown[0]}",
            field=unknown[0],
            expected="model, reason, key, actor or event_time",
        )
    model = _model(body.get("model"), "model")
    texts = {}
    for name, fallback in (("reason", ""), ("key", ""), ("actor", "somebody")):
        value = body.get(name, fallback)
        if not isinstance(value, str) or len(value) > 500 or (name == "reason" and not value.strip()):
            raise InvalidRequest(
                f"{name} is missing or no text of at most 500 characters", field=name, expected="a short text"
            )
        texts[name] = value
    moment = body.get("event_time")
    return Cause(
        key=external_key(model, "request", texts["key"] or uuid4().hex),
        model=model,
        source="request",
        reason=texts["reason"],
        actor=texts["actor"],
        event_time=(
            None
            if moment is None
            else check_event_time(_moment(moment, "event_time"), now, field="event_time")
        ),
    )


def _alerts(alerts: list[Any]) -> tuple[list[Cause], list[str]]:
    """One cause per alert. Its key is what fires (fingerprint) and since when (startsAt): re-sent, grouped anew or from a second
    Alertmanager it is the same cause."""
    causes: list[Cause] = []
    left_out: list[str] = []
    for place, alert in enumerate(alerts):
        try:
            causes.append(_alert(alert, f"alerts[{place}]"))
        except InvalidRequest as error:
            left_out.append(error.message)
    if not causes:
        raise InvalidRequest(
            left_out[0] if left_out else "there is no alert in the body",
            field="alerts",
            expected="at least one alert with the labels of a model and startsAt",
            hint="give the alert rule the label `model`",
        )
    return causes, left_out


def _alert(alert: object, place: str) -> Cause:
    if not isinstance(alert, dict):
        raise InvalidRequest(f"{place} is not an object", field=place, expected="an alert")
    labels, notes = alert.get("labels"), alert.get("annotations")
    labels = labels if isinstance(labels, dict) else {}
    notes = notes if isinstance(notes, dict) else {}
    model = _model(labels.get("model"), f"{place}.labels.model")
    starts = _moment(alert.get("startsAt"), f"{place}.startsAt")
    what = alert.get("fingerprint") or "\n".join(f"{name}={labels[name]}" for name in sorted(labels))
    resolved = alert.get("status") == "resolved"
    about = None if resolved else _verdict(notes)
    name = str(labels.get("alertname", "alert"))
    told = str(notes.get("summary") or notes.get("description") or "")
    return Cause(
        key=external_key(model, "alert", str(what), starts.isoformat(), "resolved" if resolved else "firing"),
        model=model,
        source="alert",
        reason=(f"{name}: {told}" if told else name)[:500],
        actor=str(alert.get("generatorURL") or "alert")[:200],
        resolved=resolved,
        about=about,
        about_version=_told(notes, "version", VERSION),
        about_state=_told(notes, "verdict_state", STATE),
    )


def _told(notes: dict[str, Any], name: str, form: str) -> str:
    """What an annotation says about the verdict; empty where it is missing or was not filled in."""
    value = notes.get(name)
    return value if isinstance(value, str) and re.fullmatch(form, value) else ""


def _verdict(notes: dict[str, Any]) -> str | None:
    """The verdict an alert is about, by its annotation `verdict_id`. What was not filled in, or badly, is UNCLEAR, not absent:
    such an alert still speaks of a verdict, and must not act beside it."""
    if "verdict_id" not in notes:
        return None
    told = notes["verdict_id"]
    return told if isinstance(told, str) and re.fullmatch(VERDICT_ID, told) else UNCLEAR


def _model(value: object, field: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(MODEL_NAME, value):
        raise InvalidRequest(
            f"{field} is missing or no name of a model", field=field, expected="the name of a deployed model"
        )
    return value


def _moment(value: object, field: str) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{field} is no moment", field=field, expected="ISO 8601, such as 2013-01-31T00:00:00Z"
        ) from None
