"""Lineage: from a prediction back to the cause of its version, and from a cause forward to predictions."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from services.retraining.ledger.approvals.expiry import expires_at
from services.retraining.ledger.ledger import Ledger, run_id_of
from services.retraining.ledger.records import Run
from shared.contracts.lake_schema import FEATURE_PREFIX, IMPORT, LABEL, SCORE, SCORES, SOURCE, feature_of
from shared.contracts.manifest import Manifest
from shared.contracts.prediction import Prediction
from shared.errors import DependencyUnavailable, NotFound
from shared.models.answers import label_of
from shared.observability.logs import get_logger
from shared.stores.erasure.subject import personal_names
from shared.stores.lake import Lake
from shared.stores.model_store import ModelStore
from shared.stores.prediction_lookup import answered_by, find_prediction

_log = get_logger(__name__)
_NO_CAUSE = {"run": None, "snapshot": None, "decision": None, "cause": None}


def why_prediction(ledger: Ledger, store: ModelStore, lake: Lake, prediction_id: str) -> dict[str, Any]:
    """prediction → release → version → run → snapshot → decision → cause. Raises NotFound."""
    row = find_prediction(lake, prediction_id)
    if row is None:
        raise NotFound(
            f"the lake has no prediction {prediction_id}",
            hint="a new prediction reaches the lake within seconds; a prediction of another installation is only in its own lake",
        )
    if row.get(SOURCE) == IMPORT:
        return _why_imported(store, row)
    manifest = store.manifest(row["model"], row["version"])
    personal = personal_names(manifest.features)
    shown = {name: "(personal)" if _is_of(name, personal) else value for name, value in row.items()}
    version = _version(ledger, manifest)
    served_by = [entry for entry in version["releases"] if entry["generation"] == row["generation"]]
    return {
        "prediction": _named(manifest.prediction, shown),
        "release": served_by[0] if served_by else None,
        "version": version,
        **_cause_of(ledger, _run(ledger, manifest.origin.run_id)),
    }


def _why_imported(store: ModelStore, row: dict[str, Any]) -> dict[str, Any]:
    """A row of history: no version has answered it. What is personal is known from the live version."""
    served = store.live_release(row["model"])
    manifest = store.manifest(row["model"], served.version) if served else None
    personal = personal_names(manifest.features) if manifest else frozenset()
    shown = {
        name: "(personal)"
        if _is_of(name, personal) or (manifest is None and name.startswith(FEATURE_PREFIX))
        else value
        for name, value in row.items()
    }
    prediction = _named(manifest.prediction, shown) if manifest else shown
    return {"prediction": prediction, "release": None, "version": None, **_NO_CAUSE}


def _is_of(column: str, personal: frozenset[str]) -> bool:
    """Whether it stores a personal feature; it may be spelled as an earlier version did."""
    return column.startswith(FEATURE_PREFIX) and feature_of(column).casefold() in personal


def _named(prediction: Prediction, row: dict[str, Any]) -> dict[str, Any]:
    """The row with labels as in `loop.yaml`, probabilities by label and values by name; without empty columns of other kinds.

    `positive`: the class whose probability is the score, if `loop.yaml` names it.
    """
    if prediction.width and not prediction.labels and row.get(SCORES) is not None:
        numbers = row[SCORES]
        kept = {name: value for name, value in row.items() if name not in (LABEL, SCORE, SCORES)}
        if prediction.names:
            return {**kept, "values": dict(zip(prediction.names, numbers, strict=False))}
        return {**kept, "embedding": numbers}
    if prediction.kind != "classes" or row.get(SCORES) is None:
        kept = {
            name: value for name, value in row.items() if value is not None or name not in (LABEL, SCORES)
        }
        return kept if prediction.positive is None else {**kept, "positive": prediction.positive}
    named = {name: label_of(prediction, row[name]) for name in (LABEL, "outcome") if row[name] is not None}
    return {**row, SCORES: dict(zip(prediction.label_texts, row[SCORES], strict=False)), **named}


def why_version(ledger: Ledger, store: ModelStore, lake: Lake, version: str) -> dict[str, Any]:
    """version → run → snapshot → decision → cause, and forward to its releases and predictions.

    Accepts a prefix of at least 8 characters. Raises NotFound.
    """
    for model in store.models():
        for name in _versions(store, model):
            if len(version) >= 8 and name.startswith(version):
                manifest = store.manifest(model, name)
                return {
                    "version": _version(ledger, manifest),
                    **_cause_of(ledger, _run(ledger, manifest.origin.run_id)),
                    "predictions": _predictions(lake, model, name),
                }
    raise NotFound(
        f"there is no version {version}", hint="give the version or at least its first 8 characters"
    )


def _versions(store: ModelStore, model: str) -> list[str]:
    """The versions of a model; none where they cannot be listed, so that those of the other models are found."""
    try:
        return store.versions(model)
    except DependencyUnavailable as error:
        _log.warning("versions_unavailable", model=model, problem=str(error))
        return []


def why_run(ledger: Ledger, store: ModelStore, lake: Lake, run_id: str) -> dict[str, Any]:
    """A run with its cause, and forward to the predictions of its version. Raises NotFound."""
    return _forward(ledger, store, lake, ledger.run(run_id))


def why_cause(ledger: Ledger, store: ModelStore, lake: Lake, key: str) -> dict[str, Any]:
    """cause → decision → run → version and its releases → predictions, as far as they exist. Raises NotFound."""
    found = ledger.cause(key)
    if found is None:
        raise NotFound(f"there is no cause {key}", hint="GET /decisions lists the cause keys")
    run = _run(ledger, run_id_of(key))
    return {**found, **({} if run is None else _forward(ledger, store, lake, run))}


def _forward(ledger: Ledger, store: ModelStore, lake: Lake, run: Run) -> dict[str, Any]:
    backward = _cause_of(ledger, run)
    try:
        made = _version(ledger, store.manifest(run.model, run.version)) if run.version else None
    except NotFound:
        made = None  # the version was deleted; the ledger still has the rest
    answered = _predictions(lake, run.model, run.version) if run.version else None
    return {**backward, "version": made, "predictions": answered}


def _version(ledger: Ledger, manifest: Manifest) -> dict[str, Any]:
    releases = ledger.releases_of_version(manifest.version)
    return {
        "version": manifest.version,
        "model": manifest.model,
        "origin": manifest.origin.model_dump(mode="json"),
        "metrics": manifest.metrics,
        "releases": releases,
        "improvable": [
            better.to_json()
            for one in ledger.first_comparisons.current()
            if one.model == manifest.model and one.generation in {entry["generation"] for entry in releases}
            for better in one.improvements
        ],
        "watches": [
            watch.to_json()
            for watch in ledger.watches.of_model(manifest.model)
            if watch.version == manifest.version
        ],
    }


def _cause_of(ledger: Ledger, run: Run | None) -> dict[str, Any]:
    if run is None:
        return dict(_NO_CAUSE)
    found = ledger.cause(run.cause_key) or {"decision": None, "cause": None}
    return {"run": describe_run(run, ledger.answers(run.run_id)), "snapshot": run.snapshot, **found}


def _predictions(lake: Lake, model: str, version: str) -> dict[str, Any] | None:
    try:
        answered = answered_by(lake, model, version)
    except DependencyUnavailable as error:
        _log.warning("lake_unavailable", model=model, problem=str(error))
        return None
    return {
        "count": answered.count,
        "first_event_time": answered.first,
        "last_event_time": answered.last,
    }


def _run(ledger: Ledger, run_id: str) -> Run | None:
    try:
        return ledger.run(run_id) if run_id else None
    except NotFound:
        return None  # the ledger is newer than the version, or the cause started no run: return the rest


def describe_run(run: Run, answers: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A run as JSON, without the loop specification, which the manifest has."""
    shown = {field.name: getattr(run, field.name) for field in fields(run) if field.name != "loop"}
    shown |= {"automation": run.loop.automation, "approval_expires_at": expires_at(run)}
    return {**shown, "approvals": answers or []}


def without_measures(described: dict[str, Any]) -> dict[str, Any]:
    """As `describe_run`, without the numbers of the gate's checks, which are long: for lists of runs."""
    if described["gate"] is None:
        return described
    gate = {name: value for name, value in described["gate"].items() if name != "measures"}
    return {**described, "gate": gate}
