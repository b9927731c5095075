"""The health of every part, read from what it says about itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.console.aggregation.fields import mapping, mappings, number, text, whole
from services.console.aggregation.poller import PollResult
from services.console.aggregation.prometheus_samples import Samples
from services.console.aggregation.view_models import ComponentHealth, Condition
from services.console.formatting import amount, count, size
from shared.contracts.health_limits import MAXIMUM_ROW_AGE_S, MAXIMUM_SINK_LAG, SPOOL_NEARLY_FULL


def inference_part(name: str, status: PollResult, url: str) -> ComponentHealth:
    """An inference server."""
    if status.problem or status.body is None:
        return _silent(name, status, url, "Predictions are not answered here.")
    body = mapping(status.body)
    models = list(mappings(body, "models"))
    spool, log = mapping(body.get("spool")), mapping(body.get("release_log"))
    served = [model for model in models if text(model, "version")]
    problems = [
        *(
            f"{text(model, 'name')}: {text(model, 'last_error')}"
            for model in models
            if text(model, "last_error")
        ),
        text(log, "last_error"),
        text(spool, "last_error"),
        _filling(spool),
    ]
    dropped = _dropped(spool)
    details = [
        ("models", count(len(served), "model")),
        ("device", text(body, "device")),
        ("spool", size(number(spool, "bytes") or 0)),
        *([("dropped", f"{count(dropped, 'row')} since its start")] if dropped else []),
    ]
    fine = f"serves {count(len(served), 'model')}" if served else "serves nothing yet"
    return _speaking(name, status, url, fine, [told for told in problems if told], details)


def shipper_part(status: PollResult, samples: Samples, url: str) -> ComponentHealth:
    """The shipper."""
    if status.problem or status.body is None:
        return _silent(
            "shipper", status, url, "Answers gather on the spool; none is lost while there is room."
        )
    backlog = samples.value("homeostat_shipper_backlog_bytes")
    oldest = samples.value("homeostat_shipper_oldest_row_age_seconds")
    dropped = samples.total("homeostat_shipper_spool_dropped_rows")
    details = [
        *([("waiting", size(backlog))] if backlog is not None else []),
        *([("oldest row", amount(oldest))] if oldest else []),
        *([("dropped", count(int(dropped), "row"))] if dropped else []),
    ]
    problems = [
        *_errors(status),
        *([f"a row has waited {amount(oldest)} for Kafka"] if oldest and oldest > MAXIMUM_ROW_AGE_S else []),
    ]
    if backlog is None:
        fine = "answers; how much waits on the spool is not known"
    else:
        fine = f"{size(backlog)} on their way to Kafka" if backlog else "carries the spool to Kafka"
    return _speaking("shipper", status, url, fine, problems, details)


def sink_part(status: PollResult, samples: Samples, url: str) -> ComponentHealth:
    """The sink."""
    if status.problem or status.body is None:
        return _silent("sink", status, url, "The lake gets no rows; Kafka keeps them meanwhile.")
    lag = samples.total("homeostat_sink_lag_records")
    missing = samples.total("homeostat_sink_missing_rows_total")
    letters = samples.total("homeostat_sink_dead_letters_total")
    details = [
        *([("lag", count(int(lag), "record"))] if lag is not None else []),
        *([("missing", count(int(missing), "row"))] if missing else []),
        *([("dead letters", count(int(letters), "record"))] if letters else []),
    ]
    problems = [
        *_errors(status),
        *([f"{count(int(lag), 'record')} behind Kafka"] if lag and lag > MAXIMUM_SINK_LAG else []),
    ]
    if lag is None:
        fine = "answers; how far it is behind Kafka is not known"
    else:
        fine = f"{count(int(lag), 'record')} behind Kafka" if lag else "the lake has all that Kafka has"
    return _speaking("sink", status, url, fine, problems, details)


def kafka_part(
    shipper: PollResult, sink: PollResult, retraining: PollResult, samples: Samples
) -> ComponentHealth:
    """Kafka, as those who talk to it see it; it speaks no HTTP."""
    complaints = [
        f"{name}: {told}"
        for name, result in (("shipper", shipper), ("sink", sink))
        for told in _errors(result)
    ]
    content = [
        name
        for name, result in (("shipper", shipper), ("sink", sink))
        if result.is_fresh and not _errors(result)
    ]
    listens = text(mapping(retraining.body), "verdicts") if retraining.is_fresh else ""
    if listens == "waiting for Kafka":
        complaints.append("retraining: waits for Kafka")
    elif listens == "connected":
        content.append("retraining")
    lags = sorted(samples.of("homeostat_sink_lag_records"), key=lambda one: one.labels.get("topic", ""))
    details = tuple(
        (f"lag of {sample.labels.get('topic', '').removeprefix('homeostat.')}", f"{sample.value:,.0f}")
        for sample in lags
    )
    said_at = max((result.at for result in (shipper, sink, retraining) if result.at), default=None)
    condition: Condition = "up"
    if complaints:
        condition = "trouble" if content else "away"
    elif not content:
        condition = "unclear"
    sentence = {
        "up": f"reached by {' and '.join(content)}",
        "unclear": "nobody who talks to it answers",
    }.get(condition, "; ".join(complaints))
    hint = "`homeostat doctor` looks at the broker and its topics" if complaints else ""
    return ComponentHealth("kafka", condition, sentence, details, hint, said_at=said_at)


def drift_part(status: PollResult, url: str) -> ComponentHealth:
    """Drift."""
    if status.problem or status.body is None:
        return _silent("drift", status, url, "Nobody judges windows; they are judged once it is back.")
    body = mapping(status.body)
    models = list(mappings(body, "models"))
    unpublished = whole(body, "unpublished")
    problems = [f"{text(model, 'model')}: {text(model, 'error')}" for model in models if text(model, "error")]
    details = [
        ("watches", count(len(models), "model")),
        *([("not yet on Kafka", count(unpublished, "verdict"))] if unpublished else []),
    ]
    fine = f"judges the windows of {count(len(models), 'model')}" if models else "waits for a first release"
    if body.get("ready") is False:
        fine = "is starting"
    return _speaking("drift", status, url, fine, problems, details)


def retraining_part(status: PollResult, url: str) -> ComponentHealth:
    """Retraining."""
    if status.problem or status.body is None:
        return _silent(
            "retraining", status, url, "Nothing is decided, and the buttons here do nothing until it is back."
        )
    body = mapping(status.body)
    at_work = list(mappings(body, "runs_at_work"))
    mlflow = text(body, "mlflow")
    problems = [] if body.get("ready") is not False else ["it cannot work with its ledger"]
    details = [
        (
            "runs",
            "driven by " + text(body, "runs_driven_by")
            if text(body, "runs_driven_by")
            else "nobody drives runs",
        ),
        ("verdicts", text(body, "verdicts")),
        *([("MLflow", mlflow)] if mlflow not in ("", "off") else []),
    ]
    fine = f"{count(len(at_work), 'run')} at work" if at_work else "decides; no run at work"
    return _speaking("retraining", status, url, fine, problems, [pair for pair in details if pair[1]])


def watching_part(name: str, result: PollResult, url: str) -> ComponentHealth:
    """Prometheus, Alertmanager or Grafana: the loop runs without."""
    if result.problem or result.body is None:
        sentence = result.problem or "no response yet"
        hint = f"look at {url}; the loop goes on without it"
        return ComponentHealth(name, "away", sentence, (), hint, result.since, result.at, url, is_core=False)
    return ComponentHealth(name, "up", "answers", said_at=result.at, url=url, is_core=False)


def _silent(name: str, result: PollResult, url: str, meaning: str) -> ComponentHealth:
    said = result.problem or "no response yet"
    lying = said.startswith("returns")
    return ComponentHealth(
        name,
        "unclear" if lying else "away",
        f"{said[0].upper()}{said[1:]}. {meaning}",
        hint=f"expected at {url}",
        since=result.since,
        said_at=result.at,
    )


def _speaking(
    name: str, result: PollResult, url: str, fine: str, problems: list[str], details: list[tuple[str, str]]
) -> ComponentHealth:
    condition: Condition = "trouble" if problems else "up"
    return ComponentHealth(
        name, condition, "; ".join(problems) or fine, tuple(details), "", None, result.at, url
    )


def _errors(result: PollResult) -> list[str]:
    told = text(mapping(result.body), "last_error") if result.is_fresh else ""
    return [told] if told else []


def _filling(spool: Mapping[str, Any]) -> str:
    held, bound = number(spool, "bytes") or 0.0, number(spool, "bound") or 0.0
    if bound <= 0 or held / bound < SPOOL_NEARLY_FULL:
        return ""
    return f"its spool is {held / bound:.0%} full; at its bound answers are no longer logged"


def _dropped(spool: Any) -> int:
    kinds = mapping(mapping(spool).get("dropped"))
    return sum(whole(mapping(models), model) for models in kinds.values() for model in mapping(models))


def newest(*moments: datetime | None) -> datetime | None:
    """The latest of the moments that are known."""
    return max((moment for moment in moments if moment is not None), default=None)
