"""What is known about each model, put together from what several services say about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.console.aggregation.component_health import newest
from services.console.aggregation.fields import mapping, mappings, moment, number, since_epoch, text, whole
from services.console.aggregation.parsers import releases_of, verdicts_of
from services.console.aggregation.poller import PollResult
from services.console.aggregation.prometheus_samples import Samples
from services.console.aggregation.view_models import Model, Received, Release, ServedModel, Verdict

RECENT = 40
PREDICTED = "homeostat_inference_last_prediction_timestamp_seconds"
IN_LAKE = "homeostat_sink_last_row_timestamp_seconds"


@dataclass(frozen=True)
class ServiceReports:
    """What the services said, by who said it. `servers` and `predicted` are by inference server.

    `logs`, release logs, and `recent`, verdicts, are by model.
    """

    servers: Mapping[str, PollResult]
    predicted: Sequence[Samples]
    sink: PollResult
    in_lake: Samples
    drift: PollResult
    retraining: PollResult
    logs: Mapping[str, PollResult]
    recent: Mapping[str, PollResult]


def model_names(*bodies: Any) -> list[str]:
    """The models anybody speaks of. Services name them in lists of names or of objects."""
    names = set()
    for body in bodies:
        models = mapping(body).get("models")
        for item in models if isinstance(models, list) else ():
            name = item if isinstance(item, str) else _name(mapping(item))
            if name:
                names.add(name)
    return sorted(names)


def models_of(told: ServiceReports) -> tuple[Model, ...]:
    """Every model, by name."""
    spoken = [result.body for result in (*told.servers.values(), told.drift, told.retraining)]
    names = {*model_names(*spoken), *(name for name, log in told.logs.items() if releases_of(name, log.body))}
    return tuple(_model(name, told) for name in sorted(names))


def _model(name: str, told: ServiceReports) -> Model:
    logged, judged = told.logs.get(name, PollResult()), told.recent.get(name, PollResult())
    log = releases_of(name, logged.body)
    released = log[-1] if log else None
    watched = _entry(told.drift.body, name)
    losses = _entry(told.retraining.body, name)
    recent = tuple(verdict for verdict in verdicts_of(judged.body) if verdict.model == name)[:RECENT]
    return Model(
        name=name,
        released=released,
        servers=tuple(
            _served(server, result, name, released if logged.is_fresh else None)
            for server, result in told.servers.items()
        ),
        received=_received(name, told, recent),
        frozen_loss=number(losses, "frozen_loss"),
        served_loss=number(losses, "served_loss"),
        loss_metric=text(losses, "metric"),
        loss_rows=whole(losses, "rows"),
        evaluated_until=moment(watched, "evaluated_until"),
        next_window_end=moment(watched, "next_window_end"),
        problem=text(watched, "error"),
        recent=recent,
        releases=log,
        rollback_target=whole(mapping(logged.body), "rollback_target"),
        stale=stale_of(
            {
                "releases": [logged],
                "received": [told.drift, told.sink, *told.servers.values()],
                "evidence": [told.drift, judged],
                "losses": [told.retraining],
            }
        ),
    )


def _served(server: str, result: PollResult, name: str, released: Release | None) -> ServedModel:
    entry = _entry(result.body, name)
    version, generation = text(entry, "version"), whole(entry, "generation")
    # Who serves a later generation than the log tells was asked after it: a moment later both say the same.
    known = result.is_fresh and released is not None and generation <= released.generation
    return ServedModel(
        server=server,
        version=version,
        generation=generation,
        since=moment(entry, "since"),
        device=text(entry, "device"),
        problem=result.problem or text(entry, "last_error"),
        said_at=None if result.is_fresh else result.at,
        agrees=(version, generation) == (released.version, released.generation)
        if known and released
        else None,
    )


def _received(name: str, told: ServiceReports, recent: Sequence[Verdict]) -> Received:
    answered = since_epoch(told.in_lake.value(IN_LAKE, kind="predictions", model=name))
    outcome = since_epoch(told.in_lake.value(IN_LAKE, kind="outcomes", model=name))
    asked = [since_epoch(samples.value(PREDICTED, model=name)) for samples in told.predicted]
    asked += [moment(_entry(result.body, name), "last_prediction_at") for result in told.servers.values()]
    return Received(
        prediction=newest(*asked, answered),
        outcome=outcome,
        lake_row=newest(answered, outcome),
        verdict=newest(*(verdict.reached_at for verdict in recent[:1])),
    )


def _entry(body: Any, name: str) -> Mapping[str, Any]:
    """What a status says about one model."""
    return next((item for item in mappings(body, "models") if _name(item) == name), {})


def _name(item: Mapping[str, Any]) -> str:
    return text(item, "name") or text(item, "model")


def stale_of(told: Mapping[str, Sequence[PollResult]]) -> dict[str, datetime | None]:
    """What is put together from some answer that is not of now, with the moment of the oldest that is shown."""
    return {
        name: min((one.at for one in answers if not one.is_fresh and one.at is not None), default=None)
        for name, answers in told.items()
        if any(not one.is_fresh for one in answers)
    }


def disagreeing(model: Model) -> list[ServedModel]:
    """Servers that serve something other than the release log says."""
    return [served for served in model.servers if served.agrees is False]


def released_at(model: Model) -> datetime | None:
    """When the newest release was made."""
    return model.released.released_at if model.released else None
