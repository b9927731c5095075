"""A small installation on disk: signed versions, a release log and a lake, filled by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake

from services.prediction_log.sink.table_properties import Retention
from services.prediction_log.sink.table_writer import TableWriter
from shared.contracts.lake_schema import OUTCOME_COLUMNS, PREDICTION_COLUMNS, feature_column, partition_of
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import Manifest, Origin
from shared.contracts.release import Release, Slot
from shared.models.signed_versions.installation_keys import Keys, ensure_keys
from shared.models.signed_versions.packaging import package_version
from shared.stores.lake import Lake
from shared.stores.model_store import ModelStore, open_model_store

START = datetime(2026, 1, 1, tzinfo=UTC)


def loop(**changes: object) -> LoopSpec:
    """Two features, probability, hourly windows, outcomes half an hour late."""
    document: dict[str, object] = {
        "model": "toy",
        "features": [
            {"name": "x", "type": "number", "nullable": True, "minimum": -50, "maximum": 50},
            {"name": "c", "type": "category", "values": ["a", "b", "d", "e"]},
        ],
        "prediction": {"kind": "probability"},
        "outcome": {"delay": "30m"},
        "metric": {"name": "log_loss"},
        "drift": {"window": {"every": "1h", "minimum_rows": 100}, "false_alarms_per_30_days": 1},
        "retraining": {"command": ["python", "train.py"]},
        "gate": {"holdout": "1d"},
    }
    return LoopSpec.model_validate(document | changes)


def minutes(count: float) -> datetime:
    """The moment that many minutes after START."""
    return START + timedelta(minutes=count)


def ordinary(
    rows: int,
    seed: int,
    *,
    start: datetime = START,
    step: timedelta = timedelta(seconds=10),
    shift: float = 0.0,
    flip: float = 0.0,
) -> dict[str, object]:
    """A calm world: x normal, c of three values, outcomes drawn from the scores; `shift` moves x, `flip` spoils outcomes."""
    random = np.random.default_rng(seed)
    score = np.clip(random.beta(2, 5, rows), 0.01, 0.99)
    outcome = (random.random(rows) < score).astype(float)
    flipped = random.random(rows) < flip
    return {
        "event_time": [start + step * place for place in range(rows)],
        "x": random.normal(shift, 1, rows),
        "c": random.choice(["a", "b", "d"], rows, p=[0.5, 0.3, 0.2]),
        "score": score,
        "outcome": np.where(flipped, 1 - outcome, outcome),
    }


@dataclass
class World:
    """The installation below `home`."""

    home: Path
    keys: Keys = field(init=False)
    store: ModelStore = field(init=False)
    lake: Lake = field(init=False)
    answered: int = 0

    def __post_init__(self) -> None:
        self.keys = ensure_keys(self.home)
        self.store = open_model_store((self.home / "models").absolute().as_uri(), self.keys)
        self.lake = Lake(str(self.home / "lake"))

    def version(
        self, spec: LoopSpec, reference: Mapping[str, object], note: str = "", trained_until: str = ""
    ) -> Manifest:
        """Package and store a version whose model file holds `note`."""
        draft = self.home / "draft" / (note or "one")
        draft.mkdir(parents=True, exist_ok=True)
        (draft / "model.onnx").write_bytes(b"model " + note.encode())
        table = pa.table(dict(reference))
        pq.write_table(table, draft / "reference.parquet")
        manifest = package_version(
            draft / "version",
            loop=spec,
            model=draft / "model.onnx",
            reference=draft / "reference.parquet",
            origin=Origin(kind="deployment", trained_until=trained_until),
            metrics={},
            signing_key=self.keys.signing,
        )
        self.store.put_version(spec.model, manifest.version, draft / "version")
        return manifest

    def release(self, manifest: Manifest, slot: Slot = "live") -> int:
        """Append to the release log; returns the generation."""
        generation = self.store.latest_generation(manifest.model) + 1
        self.store.add_release(
            Release(
                model=manifest.model,
                generation=generation,
                version=manifest.version,
                reason="deployment" if slot == "live" else slot,
                actor="test",
                released_at=START,
                slot=slot,
                share=1.0 if slot == "live" else 0.1,
            )
        )
        return generation

    def answer(
        self,
        manifest: Manifest,
        generation: int,
        columns: Mapping[str, object],
        *,
        delay: timedelta | None = timedelta(minutes=20),
    ) -> None:
        """Write rows into the lake as the sink does; with their outcomes, observed `delay` later, unless that is None."""
        times: Sequence[datetime] = columns["event_time"]  # type: ignore[assignment]
        count = len(times)
        ids = [f"p{self.answered + place}" for place in range(count)]
        plain: dict[str, object] = {
            "prediction_id": ids,
            "version": [manifest.version] * count,
            "generation": [generation] * count,
            "event_time": list(times),
            "answered_at": list(times),
            "writer": ["writer-0"] * count,
            "epoch": [1] * count,
            "sequence": list(range(self.answered, self.answered + count)),
            "score": np.asarray(columns["score"], dtype=np.float64),
            "traceparent": [""] * count,
        }
        table = pa.table(
            {
                name: pa.array(plain[name], PREDICTION_COLUMNS.field(name).type)
                for name in PREDICTION_COLUMNS.names
            }
        )
        for feature in manifest.features:
            table = table.append_column(
                feature_column(feature.name), _array(columns[feature.name], feature.type)
            )
        self._append(self.lake.predictions(manifest.model), PREDICTION_COLUMNS, "event_time", table)
        outcome = np.asarray(columns["outcome"], dtype=np.float64)
        known = np.flatnonzero(np.isfinite(outcome))
        if delay is not None and known.size:
            observed = [times[int(place)] + delay for place in known]
            self.observe(manifest.model, [ids[int(place)] for place in known], outcome[known], observed)
        self.answered += count

    def observe(
        self, model: str, ids: Sequence[str], values: npt.NDArray[np.float64], observed: Sequence[datetime]
    ) -> None:
        """Write outcomes into the lake."""
        count = len(ids)
        plain: dict[str, object] = {
            "prediction_id": list(ids),
            "value": values,
            "observed_at": list(observed),
            "received_at": list(observed),
            "writer": ["writer-0"] * count,
            "epoch": [1] * count,
            "sequence": list(range(count)),
            "traceparent": [""] * count,
        }
        table = pa.table(
            {name: pa.array(plain[name], OUTCOME_COLUMNS.field(name).type) for name in OUTCOME_COLUMNS.names}
        )
        self._append(self.lake.outcomes(model), OUTCOME_COLUMNS, "observed_at", table)

    def _append(self, location: str, columns: pa.Schema, time_column: str, rows: pa.Table) -> None:
        """Into a table as the sink makes it: what readers find out from its files' statistics must not depend on the test."""
        writer = TableWriter(location, columns, time_column=time_column, retention=Retention())
        month = pa.array([partition_of(moment) for moment in rows[time_column].to_pylist()])
        write_deltalake(
            writer.newest(),
            rows.append_column("month", month),
            mode="append",
            schema_mode="merge",
        )


def _array(values: object, kind: str) -> pa.Array:
    types = {"number": pa.float32(), "integer": pa.int64(), "boolean": pa.bool_(), "category": pa.string()}
    return pa.array(list(values), types.get(kind, pa.list_(pa.float32())), from_pandas=True)  # type: ignore[call-overload]
