"""The served version that receives injected rows: its specification, reference rows and feature weights."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import REFERENCE
from shared.errors import CallerError, NotFound, ProjectError
from shared.http.service_client import ServiceClient
from shared.models.signed_versions.installation_keys import Keys
from shared.models.signed_versions.verification import verify_version
from shared.stores.model_store import ModelStore

SCORED_ROWS = 1000


@dataclass(frozen=True)
class Target:
    """A served `version` of `model` with its `generation`; `reference` holds its reference rows in time order.

    `weights`: permutation importance of each feature, in units of the score.
    """

    model: str
    version: str
    generation: int
    loop: LoopSpec
    reference: pa.Table
    weights: dict[str, float]


def find_target(inference: ServiceClient, store: ModelStore, keys: Keys, model: str, *, seed: int) -> Target:
    """The version that inference serves, read from the model store, with its signature verified.

    `model` may be empty if one model is served. Raises `NotFound` if it is not served, `CallerError` if it is ambiguous.
    """
    report = inference.get("/status.json")
    served = {str(item["name"]): item for item in report["models"] if item["version"]}
    if not served:
        raise NotFound("inference serves no model", hint="homeostat deploy PROJECT --train … --holdout …")
    if not model and len(served) > 1:
        raise CallerError(f"inference serves {', '.join(sorted(served))}", hint="choose one with --model")
    name = model or next(iter(served))
    if name not in served:
        raise NotFound(
            f"inference does not serve {name}",
            hint=f"known models: {', '.join(sorted(served))}; choose one with --model",
        )
    item: dict[str, Any] = served[name]
    version = str(item["version"])
    with tempfile.TemporaryDirectory(prefix="homeostat-inject-") as folder:
        manifest = store.get_version(name, version, Path(folder))
        verify_version(Path(folder), version=version, verifying_key=keys.verifying)
        reference = _usable(pq.read_table(Path(folder) / REFERENCE), manifest.loop)
        weights = feature_weights(Path(folder) / manifest.model_file, manifest.loop, reference, seed=seed)
    return Target(name, version, int(item["generation"]), manifest.loop, reference, weights)


def feature_weights(model: Path, loop: LoopSpec, reference: pa.Table, *, seed: int) -> dict[str, float]:
    """Permutation importance: mean absolute change of the score when a feature's column is shuffled, over some reference rows."""
    from shared.models.runners.loading import load_model

    random = np.random.default_rng(seed)
    rows = reference.take(random.permutation(reference.num_rows)[:SCORED_ROWS])
    scorer = load_model(model, loop)
    before = scorer.score(rows)
    weights = {}
    for feature in loop.features:
        place = rows.column_names.index(feature.name)
        shuffled = rows.column(place).take(pa.array(random.permutation(rows.num_rows)))
        after = scorer.score(rows.set_column(place, feature.name, shuffled))
        weights[feature.name] = float(np.nanmean(np.abs(after - before)))
    return weights


def _usable(reference: pa.Table, loop: LoopSpec) -> pa.Table:
    """The rows that inference accepts: without missing values in features that are not nullable."""
    kept = reference
    for feature in loop.features:
        if not feature.nullable and feature.name in kept.column_names:
            kept = kept.filter(pc.is_valid(kept.column(feature.name)))
    if kept.num_rows == 0:
        raise ProjectError(
            f"the reference of {loop.model} has no complete row to send",
            hint="deploy it with a holdout that has complete rows",
        )
    return kept.sort_by("event_time").combine_chunks()
