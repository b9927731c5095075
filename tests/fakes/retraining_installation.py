"""A small installation for retraining: a lake with a month of rows, a project that trains quickly, a poor champion."""

from __future__ import annotations

import os
import runpy
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from deltalake import write_deltalake

from shared.contracts.lake_schema import OUTCOME_COLUMNS, PREDICTION_COLUMNS, TIMESTAMP, partition_of
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import read_loop_spec
from shared.contracts.manifest import Origin
from shared.contracts.verdict import Verdict, cause_key
from shared.models.signed_versions.installation_keys import Keys, ensure_keys
from shared.models.signed_versions.packaging import package_version
from shared.settings import HomeostatSettings
from shared.stores.lake import Lake
from shared.stores.model_store import ModelStore, open_model_store
from tests.fakes.callers import local_headers
from tests.fakes.numpy_training import TRAINER as TRAINER

START = datetime(2013, 1, 1, tzinfo=UTC)
MODEL = "toy"

LOOP: dict[str, Any] = {
    "model": MODEL,
    "features": [
        {"name": "x", "type": "number", "nullable": True},
        {"name": "color", "type": "category", "values": ["red", "blue"], "nullable": True},
    ],
    "prediction": {"kind": "probability"},
    "outcome": {"delay": "2h"},
    "metric": {"name": "log_loss", "floor": 0.6},
    "drift": {"window": {"every": "1d", "minimum_rows": 20}},
    "retraining": {
        "command": ["python", "train.py"],
        "time_limit": "60s",
        "triggers": [{"when": "drift", "kinds": ["performance"]}],
        "minimum_rows": 500,
    },
    "gate": {"holdout": "5d", "minimum_rows": 100, "maximum_latency_ratio": 50},
    "automation": "auto",
}


def loop_with(**changes: Any) -> dict[str, Any]:
    """The installation's loop.yaml with some values replaced; mappings are merged one level deep."""
    made = dict(LOOP)
    for name, value in changes.items():
        made[name] = (
            {**made[name], **value}
            if isinstance(value, Mapping) and isinstance(made.get(name), dict)
            else value
        )
    return made


@dataclass(frozen=True)
class Installation:
    """Folders and stores of one installation."""

    home: Path
    project: Path
    store: ModelStore
    lake: Lake
    keys: Keys
    spec: LoopSpec
    champion: str

    @property
    def settings(self) -> HomeostatSettings:
        """The shared settings that point here."""
        return HomeostatSettings(home=self.home, kafka="127.0.0.1:1")

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request with the local key."""
        return local_headers(self.home)

    def trainings(self) -> list[str]:
        """The run of every training that was started, in order."""
        log = self.project / "trainings.log"
        return log.read_text().split() if log.is_file() else []

    def verdict(
        self,
        day: int,
        *,
        state: str = "drift",
        drifted: tuple[str, ...] = ("performance",),
        version: str = "",
        **more: Any,
    ) -> Verdict:
        """A verdict about the day that ends `day` days after the start."""
        about = version or self.champion
        end = START + timedelta(days=day)
        values = {
            "model": MODEL,
            "version": about,
            "generation": 1,
            "detector": "performance",
            "window_start": end - timedelta(days=1),
            "window_end": end,
            "rows": 100,
            "outcomes": 90,
            "state": state,
            "drifted": drifted if state == "drift" else (),
            "loss": 0.7,
            "reached_at": datetime.now(UTC),
            **more,
        }
        key = cause_key(str(values["model"]), str(values["detector"]), about, end)
        return Verdict.model_validate({"verdict_id": key, **values})


def make_installation(
    root: Path, *, days: int = 30, per_hour: int = 4, seed: int = 7, trainer: str = TRAINER, **changes: Any
) -> Installation:
    """An installation below `root`: keys, project, `days` days of rows in the lake, and a poor champion, not yet deployed.

    Equal ones are made once in a process and copied: they share their keys.
    """
    loop = yaml.safe_dump(loop_with(**changes))
    umask = os.umask(0o022)
    os.umask(umask)
    made = _made(loop, trainer, days, per_hour, seed, umask)
    shutil.copytree(made.root, root, dirs_exist_ok=True)
    home = root / "home"
    keys = ensure_keys(home)
    store = open_model_store(HomeostatSettings(home=home).model_store_url, keys)
    return Installation(
        home, root / "project", store, Lake(str(home / "lake")), keys, made.spec, made.champion
    )


@dataclass(frozen=True)
class _Made:
    """What copies are made of. The folder is removed with the process."""

    folder: TemporaryDirectory[str]
    root: Path
    spec: LoopSpec
    champion: str


@cache
def _made(loop: str, trainer: str, days: int, per_hour: int, seed: int, umask: int) -> _Made:
    """`umask`: that of the process, which the copies' permissions come from."""
    folder = TemporaryDirectory(prefix="homeostat-installation-")
    root = Path(folder.name) / "installation"
    home, project = root / "home", root / "project"
    project.mkdir(parents=True)
    (project / "loop.yaml").write_text(loop)
    (project / "train.py").write_text(trainer)
    spec = read_loop_spec(project)
    keys = ensure_keys(home)
    fill_lake(Lake(str(home / "lake")), START, days, per_hour, seed)
    store = open_model_store(HomeostatSettings(home=home).model_store_url, keys)
    return _Made(folder, root, spec, package_poor_champion(root, spec, store, keys))


def fill_lake(
    lake: Lake,
    start: datetime,
    days: float,
    per_hour: int,
    seed: int,
    *,
    generation: int = 1,
    slope: float = 0.0,
    outcomes_of: float = 1.0,
    writer: str = "w",
    source: str = "",
) -> None:
    """Rows at even distances, each with its outcome an hour later: one with probability sigmoid(2x).

    They were answered with sigmoid(slope x). Only the first part `outcomes_of` of them has outcomes. `source`: of imported rows.
    """
    chance = np.random.default_rng(seed)
    count = int(days * 24 * per_hour)
    x = chance.normal(size=count)
    outcome = (chance.random(count) < 1 / (1 + np.exp(-2 * x))).astype(float)
    x[::50] = np.nan
    step = timedelta(hours=1) / per_hour
    times = [start + step * row for row in range(count)]
    ids = [f"p{seed}-{row:06d}" for row in range(count)]
    predictions = {
        "prediction_id": ids,
        "version": ["0" * 64] * count,
        "generation": [generation] * count,
        "event_time": times,
        "answered_at": times,
        "writer": [writer] * count,
        "epoch": [1] * count,
        "sequence": list(range(count)),
        "score": (1 / (1 + np.exp(-slope * np.nan_to_num(x)))).tolist(),
        "traceparent": [""] * count,
    }
    month = pa.array([partition_of(time) for time in times])
    table = pa.table(
        [pa.array(predictions[field.name], field.type) for field in PREDICTION_COLUMNS],
        schema=PREDICTION_COLUMNS,
    )
    table = table.append_column("f_x", pa.array(x, pa.float64(), from_pandas=True))
    table = table.append_column("f_color", pa.array(["red", "blue"] * (count // 2)))
    if source:
        table = table.append_column("source", pa.repeat(source, count))
        month = pa.array([f"imported-{partition_of(time)}" for time in times])
    write_deltalake(
        lake.predictions(MODEL),
        table.append_column("month", month),
        partition_by=["month"],
        mode="append",
        schema_mode="merge",
    )
    seen = [time + timedelta(hours=1) for time in times]
    outcomes = {
        "prediction_id": ids,
        "value": outcome.tolist(),
        "observed_at": seen,
        "received_at": seen,
        "writer": [writer] * count,
        "epoch": [1] * count,
        "sequence": list(range(count)),
        "traceparent": [""] * count,
    }
    known = pa.table(
        [pa.array(outcomes[field.name], field.type) for field in OUTCOME_COLUMNS], schema=OUTCOME_COLUMNS
    )
    known = known.slice(0, int(count * outcomes_of))
    month = pa.array([partition_of(time) for time in seen[: known.num_rows]])
    write_deltalake(
        lake.outcomes(MODEL), known.append_column("month", month), partition_by=["month"], mode="append"
    )


def package_poor_champion(
    root: Path,
    spec: LoopSpec,
    store: ModelStore,
    keys: Keys,
    *,
    slope: float = -0.5,
    trained_until: datetime = START,
) -> str:
    """A version whose scores are worse than a coin's, in the store; its name."""
    folder = root / f"champion{slope}"
    folder.mkdir()
    runpy.run_path(str(root / "project" / "train.py"))["write"](folder / "model.onnx", slope, 0.0)
    reference = pa.table(
        {
            "event_time": pa.array([START], TIMESTAMP),
            "x": [0.0],
            "color": ["red"],
            "outcome": [0.0],
            "score": [0.5],
        }
    )
    pq.write_table(reference, folder / "reference.parquet")
    manifest = package_version(
        folder / "version",
        loop=spec,
        model=folder / "model.onnx",
        reference=folder / "reference.parquet",
        origin=Origin(kind="deployment", trained_until=trained_until.isoformat()),
        metrics={},
        signing_key=keys.signing,
    )
    store.put_version(spec.model, manifest.version, folder / "version")
    return manifest.version
