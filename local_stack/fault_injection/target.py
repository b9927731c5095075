"""The version a server serves, as rehearsals need it: its specification, its reference rows, its model."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import MODEL, REFERENCE
from shared.errors import CallerError, NotFound, ProjectError
from shared.http.service_client import ServiceClient
from shared.models.keys import Keys
from shared.models.packaging import verify_version
from shared.stores.model_store import ModelStore

SCORED_ROWS = 1000


@dataclass(frozen=True)
class Served:
    """A served `version` of `model` under its `generation`; `reference` holds its own rows in time order.

    `weights` says, for each feature, how far scores move when its values are dealt out anew (in units of the score).
    """

    model: str
    version: str
    generation: int
    loop: LoopSpec
    reference: pa.Table
    weights: dict[str, float]


def find_served(inference: ServiceClient, store: ModelStore, keys: Keys, model: str, *, seed: int) -> Served:
    """What inference serves, read from the model store and checked against its signature.

    `model` may be empty while one model is served. Raises `NotFound` where it is not served, `CallerError` where several are.
    """
    report = inference.get("/status.json")
    served = {str(item["name"]): item for item in report["models"] if item["version"]}
    if not served:
        raise NotFound("inference serves no model", hint="homeostat deploy PROJECT --train … --holdout …")
    if not model and len(served) > 1:
        raise CallerError(f"inference serves {', '.join(sorted(served))}", hint="name one with --model")
    name = model or next(iter(served))
    if name not in served:
        raise NotFound(
            f"inference does not serve {name}; it serves {', '.join(sorted(served))}",
            hint="name one of those with --model",
        )
    item: dict[str, Any] = served[name]
    version = str(item["version"])
    with tempfile.TemporaryDirectory(prefix="homeostat-inject-") as folder:
        manifest = store.get_version(name, version, Path(folder))
        verify_version(Path(folder), version=version, verifying_key=keys.verifying)
        reference = _usable(pq.read_table(Path(folder) / REFERENCE), manifest.loop)
        weights = weigh_features(Path(folder) / MODEL, manifest.loop, reference, seed=seed)
    return Served(name, version, int(item["generation"]), manifest.loop, reference, weights)


def weigh_features(model: Path, loop: LoopSpec, reference: pa.Table, *, seed: int) -> dict[str, float]:
    """How much each feature moves the score: the mean change when its column is dealt out anew over some reference rows."""
    from shared.models.onnx_runner import OnnxModel

    random = np.random.default_rng(seed)
    rows = reference.take(random.permutation(reference.num_rows)[:SCORED_ROWS])
    scorer = OnnxModel(model, loop)
    before: npt.NDArray[np.float64] = scorer.score(rows)
    weights = {}
    for feature in loop.features:
        place = rows.column_names.index(feature.name)
        dealt = rows.column(place).take(pa.array(random.permutation(rows.num_rows)))
        after = scorer.score(rows.set_column(place, feature.name, dealt))
        weights[feature.name] = float(np.nanmean(np.abs(after - before)))
    return weights


def _usable(reference: pa.Table, loop: LoopSpec) -> pa.Table:
    """The rows a request may hold: without a missing value where none is allowed."""
    kept = reference
    for feature in loop.features:
        if not feature.nullable and feature.name in kept.column_names:
            kept = kept.filter(pc.is_valid(kept.column(feature.name)))
    if kept.num_rows == 0:
        raise ProjectError(
            f"the reference of {loop.model} has no whole row to send",
            hint="deploy it with rows that are whole",
        )
    return kept.sort_by("event_time").combine_chunks()
