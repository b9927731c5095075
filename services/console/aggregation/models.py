"""What is known about each model, combined from the responses of several services. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from services.console.aggregation.console_snapshot import LastReceived, Model, ServedModel, Stale
from services.console.aggregation.poller import PollResult, PollResults
from services.console.aggregation.prometheus_samples import LAKE_ROW_AT, PREDICTED_AT, Samples
from services.console.aggregation.requests import Requests
from services.console.aggregation.responses import (
    InferenceStatus,
    LoadedModel,
    Losses,
    MonitoredModel,
    Releases,
    Verdicts,
)
from shared.contracts.release import Release, live


def model_names(requests: Requests, results: PollResults) -> list[str]:
    """The models that inference, drift or retraining reports."""
    servers = [results[request].body for request in requests.servers.values()]
    drift, retraining = results[requests.drift].body, results[requests.retraining].body
    return sorted(
        {
            *(model.name for status in servers if status for model in status.models),
            *(model.model for model in (drift.models if drift else ())),
            *(model.model for model in (retraining.models if retraining else ())),
        }
    )


def models_of(requests: Requests, results: PollResults) -> tuple[Model, ...]:
    """Every model, by name."""
    return tuple(_model(name, requests, results) for name in sorted(requests.releases))


def _model(name: str, requests: Requests, results: PollResults) -> Model:
    servers = {server: results[request] for server, request in requests.servers.items()}
    drift, retraining, sink = results[requests.drift], results[requests.retraining], results[requests.sink]
    log, verdicts = results[requests.releases[name]], results[requests.recent_verdicts[name]]
    releases = (log.body or Releases()).releases
    recent = (verdicts.body or Verdicts()).verdicts
    released = live(releases)
    monitored = next(
        (one for one in (drift.body.models if drift.body else ()) if one.model == name),
        MonitoredModel(model=name),
    )
    losses = next(
        (one for one in (retraining.body.models if retraining.body else ()) if one.model == name),
        Losses(model=name),
    )
    in_lake = results[requests.sink_metrics].body or Samples()
    predicted = [results[request].body or Samples() for request in requests.server_metrics]
    outcome = _from_epoch(in_lake.value(LAKE_ROW_AT, kind="outcomes", model=name))
    prediction = _from_epoch(in_lake.value(LAKE_ROW_AT, kind="predictions", model=name))
    return Model(
        name=name,
        released=released,
        servers=tuple(
            _served(server, result, name, released if log.is_fresh else None)
            for server, result in servers.items()
        ),
        received=LastReceived(
            prediction=_newest(
                *(_from_epoch(samples.value(PREDICTED_AT, model=name)) for samples in predicted),
                *(_loaded(result.body, name).last_prediction_at for result in servers.values()),
                prediction,
            ),
            outcome=outcome,
            lake_row=_newest(prediction, outcome),
            verdict=recent[0].reached_at if recent else None,
        ),
        baseline_loss=losses.baseline_loss,
        served_loss=losses.served_loss,
        loss_metric=losses.metric,
        loss_rows=losses.rows,
        improvable=tuple(one.text for one in losses.improvable),
        watch=losses.watch,
        phase=losses.phase,
        policies=losses.policies,
        state=monitored.state or (recent[0].state if recent else ""),
        inputs=monitored.inputs,
        performance=monitored.performance,
        outcomes=monitored.outcomes,
        alarm=monitored.stream.last_verdict,
        problem=monitored.error,
        recent=recent,
        releases=releases,
        rollback_target=(log.body.rollback_target if log.body else None) or 0,
        stale=stale_of(
            {
                "releases": [log],
                "received": [drift, sink, *servers.values()],
                "verdicts": [drift, verdicts],
                "losses": [retraining],
            }
        ),
    )


def _served(
    server: str, result: PollResult[InferenceStatus], name: str, released: Release | None
) -> ServedModel:
    loaded = _loaded(result.body, name)
    # A server with a later generation than the release log was polled after it: the next snapshot has both.
    comparable = result.is_fresh and released is not None and loaded.generation <= released.generation
    return ServedModel(
        server=server,
        version=loaded.version,
        generation=loaded.generation,
        since=loaded.since,
        device=loaded.device,
        problem=result.problem or loaded.last_error,
        responded_at=None if result.is_fresh else result.at,
        agrees=(loaded.version, loaded.generation) == (released.version, released.generation)
        if comparable and released
        else None,
    )


def _loaded(status: InferenceStatus | None, name: str) -> LoadedModel:
    models = status.models if status else ()
    return next((model for model in models if model.name == name), LoadedModel(name=name))


def stale_of(lists: Mapping[str, Sequence[PollResult[Any]]]) -> dict[str, Stale]:
    """The names with a result that is not current, with the oldest of these responses."""
    stale = {}
    for name, results in lists.items():
        old = [result for result in results if not result.is_fresh]
        if old:
            at = min((result.at for result in old if result.at is not None), default=None)
            stale[name] = Stale(old[0].problem or "no response yet", at)
    return stale


def _newest(*times: datetime | None) -> datetime | None:
    return max((time for time in times if time is not None), default=None)


def _from_epoch(seconds: float | None) -> datetime | None:
    """None also for 0, the value of a gauge that was never set, and for what is no date."""
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds is not None and seconds > 0 else None
    except (ValueError, OverflowError, OSError):
        return None
