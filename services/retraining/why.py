"""Why: from a prediction to the cause of the version that answered it, and back."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.records import Run
from shared.contracts.manifest import Manifest
from shared.errors import UnknownName
from shared.stores.lake import FEATURE_PREFIX, Lake
from shared.stores.model_store import ModelStore


def why_prediction(ledger: Ledger, store: ModelStore, lake: Lake, prediction_id: str) -> dict[str, Any]:
    """prediction → version → run → snapshot → cause. Raises UnknownName."""
    row = lake.find_prediction(prediction_id)
    if row is None:
        raise UnknownName(
            f"the lake has no prediction {prediction_id}",
            remedy="an answer reaches the lake within seconds: ask again",
        )
    manifest = store.manifest(row["model"], row["version"])
    personal = {FEATURE_PREFIX + feature.name for feature in manifest.features if feature.personal}
    shown = {name: "(personal)" if name in personal else value for name, value in row.items()}
    return {"prediction": shown, **_chain(ledger, manifest, row["generation"])}


def why_version(ledger: Ledger, store: ModelStore, version: str) -> dict[str, Any]:
    """version → run → snapshot → cause, and forth: the releases that served it. Takes the short form too. Raises UnknownName."""
    for model in store.models():
        for name in store.versions(model):
            if len(version) >= 8 and name.startswith(version):
                return _chain(ledger, store.manifest(model, name), None)
    raise UnknownName(
        f"there is no version {version}", remedy="give its name or at least its first 8 characters"
    )


def _chain(ledger: Ledger, manifest: Manifest, generation: int | None) -> dict[str, Any]:
    version = manifest.version
    releases = ledger.releases_of_version(version)
    served_by = [entry for entry in releases if generation is None or entry["generation"] == generation]
    run = _run_of(ledger, manifest)
    return {
        "version": {
            "version": version,
            "model": manifest.model,
            "origin": manifest.origin.model_dump(mode="json"),
            "metrics": manifest.metrics,
            "releases": releases,
        },
        "release": served_by[0] if generation is not None and served_by else None,
        "run": None if run is None else describe_run(run, ledger.answers(run.run_id)),
        "snapshot": None if run is None else run.snapshot,
        "cause": None if run is None else ledger.cause(run.cause_key),
    }


def _run_of(ledger: Ledger, manifest: Manifest) -> Run | None:
    if not manifest.origin.run_id:
        return None
    try:
        return ledger.run(manifest.origin.run_id)
    except UnknownName:
        return None  # the ledger is younger than the version: the manifest still tells the rest


def describe_run(run: Run, answers: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A run for people and programs; the loop specification is left to the manifest."""
    shown = {field.name: getattr(run, field.name) for field in fields(run) if field.name != "loop"}
    return {**shown, "automation": run.loop.automation, "approvals": answers or []}
