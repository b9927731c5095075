"""The health of every component, from its own reports. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.console.aggregation.console_snapshot import ComponentHealth, Condition
from services.console.aggregation.endpoints import Endpoints
from services.console.aggregation.poller import PollResult, PollResults
from services.console.aggregation.prometheus_samples import (
    OLDEST_ROW_AGE,
    SINK_DEAD_LETTERS,
    SINK_LAG,
    SINK_MISSING,
    SPOOL_BACKLOG,
    SPOOL_DROPPED,
    Samples,
)
from services.console.aggregation.requests import Requests
from services.console.aggregation.responses import (
    DriftStatus,
    InferenceStatus,
    LogStatus,
    RetrainingStatus,
    SpoolStatus,
)
from services.console.formatting import count, duration, size
from shared.contracts.health_limits import MAXIMUM_ROW_AGE_S, MAXIMUM_SINK_LAG, SPOOL_NEARLY_FULL

Details = list[tuple[str, str]]


def component_health(endpoints: Endpoints, requests: Requests, results: PollResults) -> list[ComponentHealth]:
    """All components, in the order of the data flow."""
    shipper, sink, retraining = (
        results[requests.shipper],
        results[requests.sink],
        results[requests.retraining],
    )
    sink_samples = _current(results[requests.sink_metrics])
    return [
        *(
            _inference(
                "inference" if len(requests.servers) == 1 else f"inference {name}", results[one], one.base
            )
            for name, one in requests.servers.items()
        ),
        _shipper(shipper, _current(results[requests.shipper_metrics]), endpoints.shipper),
        _kafka(shipper, sink, retraining, sink_samples),
        _sink(sink, sink_samples, endpoints.sink),
        _drift(results[requests.drift], endpoints.drift),
        _retraining(retraining, endpoints.retraining),
        *(_monitoring(name, results[one], one.base) for name, one in requests.monitoring.items()),
    ]


def _current(result: PollResult[Samples]) -> Samples:
    """Old samples say nothing about the health of now."""
    return result.body if result.is_fresh and result.body else Samples()


def _inference(name: str, result: PollResult[InferenceStatus], url: str) -> ComponentHealth:
    status = result.body
    if result.problem or status is None:
        return _not_responding(name, result, url, "This server does not answer requests.")
    problems = [
        *(f"{model.name}: {model.last_error}" for model in status.models if model.last_error),
        status.release_log.last_error,
        status.spool.last_error,
        _spool_usage(status.spool),
    ]
    served = count(sum(bool(model.version) for model in status.models), "model")
    dropped = sum(rows for models in status.spool.dropped.values() for rows in models.values())
    details = [("models", served), ("device", status.device), ("spool", size(status.spool.bytes))]
    if dropped:
        details.append(("dropped", f"{count(dropped, 'row')} since its start"))
    return _responding(name, result, url, f"serves {served}", problems, details)


def _spool_usage(spool: SpoolStatus) -> str:
    if spool.bound <= 0 or spool.bytes / spool.bound < SPOOL_NEARLY_FULL:
        return ""
    return f"its spool is {spool.bytes / spool.bound:.0%} full; once it is full, rows are no longer logged, or requests get 503"


def _shipper(result: PollResult[LogStatus], samples: Samples, url: str) -> ComponentHealth:
    if result.problem or result.body is None:
        return _not_responding(
            "shipper", result, url, "Rows stay on the spool; none is lost until it is full."
        )
    backlog, oldest_s = samples.value(SPOOL_BACKLOG), samples.value(OLDEST_ROW_AGE)
    dropped = samples.total(SPOOL_DROPPED)
    details: Details = []
    if backlog is not None:
        details.append(("backlog", size(backlog)))
    if oldest_s:
        details.append(("oldest row", duration(oldest_s)))
    if dropped:
        details.append(("dropped", count(int(dropped), "row")))
    problems = _errors(result)
    if oldest_s and oldest_s > MAXIMUM_ROW_AGE_S:
        problems.append(f"the oldest row on the spool has waited {duration(oldest_s)} for Kafka")
    state = "responds; its backlog is unknown" if backlog is None else f"{size(backlog)} waiting for Kafka"
    return _responding("shipper", result, url, state if backlog != 0 else "no backlog", problems, details)


def _sink(result: PollResult[LogStatus], samples: Samples, url: str) -> ComponentHealth:
    if result.problem or result.body is None:
        return _not_responding("sink", result, url, "The lake receives no rows; Kafka keeps them.")
    lag = samples.total(SINK_LAG)
    missing, dead_letters = samples.total(SINK_MISSING), samples.total(SINK_DEAD_LETTERS)
    details: Details = []
    if lag is not None:
        details.append(("lag", count(int(lag), "record")))
    if missing:
        details.append(("missing", count(int(missing), "row")))
    if dead_letters:
        details.append(("dead letters", count(int(dead_letters), "record")))
    problems = _errors(result)
    if dead_letters:
        problems.append(_dead_letters(samples, int(dead_letters)))
    if lag and lag > MAXIMUM_SINK_LAG:
        problems.append(f"{count(int(lag), 'record')} behind Kafka")
    state = "responds; its lag is unknown" if lag is None else f"{count(int(lag), 'record')} behind Kafka"
    return _responding("sink", result, url, state if lag != 0 else "no lag", problems, details)


def _dead_letters(samples: Samples, number: int) -> str:
    reasons = {sample.labels.get("reason", "") for sample in samples.of(SINK_DEAD_LETTERS) if sample.value}
    return (
        f"{count(number, 'dead letter')} ({', '.join(sorted(reasons))}) since it started; "
        "`homeostat log dead-letters list` shows them, `homeostat log dead-letters replay --all` sends them again"
    )


def _kafka(
    shipper: PollResult[LogStatus],
    sink: PollResult[LogStatus],
    retraining: PollResult[RetrainingStatus],
    samples: Samples,
) -> ComponentHealth:
    """Kafka as its clients report it: it has no HTTP interface."""
    clients = {"shipper": shipper, "sink": sink}
    problems = [f"{name}: {error}" for name, result in clients.items() for error in _errors(result)]
    connected = [name for name, result in clients.items() if result.is_fresh and not _errors(result)]
    consumer = retraining.body.verdicts if retraining.is_fresh and retraining.body else ""
    if consumer == "waiting for Kafka":
        problems.append("retraining: waiting for Kafka")
    elif consumer == "connected":
        connected.append("retraining")
    condition: Condition = "up"
    sentence = f"connected: {', '.join(connected)}"
    if problems:
        condition, sentence = "degraded" if connected else "unreachable", "; ".join(problems)
    elif not connected:
        condition, sentence = "unknown", "none of its clients responds"
    lags = sorted((sample.labels.get("topic", ""), sample.value) for sample in samples.of(SINK_LAG))
    return ComponentHealth(
        "kafka",
        condition,
        sentence,
        tuple((f"lag of {topic.removeprefix('homeostat.')}", f"{lag:,.0f}") for topic, lag in lags),
        "`homeostat doctor` checks the broker and its topics" if problems else "",
        responded_at=max((one.at for one in (shipper, sink, retraining) if one.at), default=None),
    )


def _drift(result: PollResult[DriftStatus], url: str) -> ComponentHealth:
    status = result.body
    if result.problem or status is None:
        return _not_responding("drift", result, url, "No windows are evaluated, and reports cannot be read.")
    problems = [f"{model.model}: {model.error}" for model in status.models if model.error]
    details = [("models", count(len(status.models), "model"))]
    if status.unpublished:
        details.append(("unpublished", count(status.unpublished, "verdict")))
    state = f"monitors {count(len(status.models), 'model')}" if status.ready else "starting"
    return _responding("drift", result, url, state, problems, details)


def _retraining(result: PollResult[RetrainingStatus], url: str) -> ComponentHealth:
    status = result.body
    if result.problem or status is None:
        return _not_responding(
            "retraining", result, url, "No decisions are made, and the buttons of this page do not work."
        )
    details = [("leader", status.leader or "none"), ("verdicts", status.verdicts)]
    if status.mlflow not in ("", "off"):
        details.append(("MLflow", status.mlflow))
    problems = [] if status.ready else ["not ready: it cannot use its ledger"]
    state = f"{count(len(status.active_runs), 'run')} in progress"
    return _responding("retraining", result, url, state, problems, details)


def _monitoring(name: str, result: PollResult[str], url: str) -> ComponentHealth:
    """Prometheus, Alertmanager or Grafana: the loop does not depend on them."""
    if result.problem or result.body is None:
        problem = result.problem or "no response yet"
        hint = f"check {url}; the loop runs without it"
        return ComponentHealth(
            name, "unreachable", problem, (), hint, result.since, result.at, url, is_core=False
        )
    return ComponentHealth(name, "up", "responds", responded_at=result.at, url=url, is_core=False)


def _not_responding(name: str, result: PollResult[Any], url: str, consequence: str) -> ComponentHealth:
    problem = result.problem or "no response yet"
    said = f"{problem[0].upper()}{problem[1:]}."
    condition: Condition = "unknown" if result.is_invalid else "unreachable"
    if result.remedy:  # it works; only the console cannot read it
        condition, consequence = "refused", "The console cannot show it."
    return ComponentHealth(
        name,
        condition,
        f"{said} {consequence}",
        hint=result.remedy or f"expected at {url}",
        since=result.since,
        responded_at=result.at,
    )


def _responding(
    name: str,
    result: PollResult[Any],
    url: str,
    state: str,
    problems: Sequence[str],
    details: Sequence[tuple[str, str]],
) -> ComponentHealth:
    reported = "; ".join(problem for problem in problems if problem)
    shown = tuple((label, value) for label, value in details if value)
    return ComponentHealth(
        name, "degraded" if reported else "up", reported or state, shown, responded_at=result.at, url=url
    )


def _errors(result: PollResult[LogStatus]) -> list[str]:
    return [result.body.last_error] if result.is_fresh and result.body and result.body.last_error else []
