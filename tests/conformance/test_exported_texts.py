"""An exported model of texts scores hostile texts as the original does, in deployment and on the server."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

import homeostat
from services.inference.models.servable import Servable
from services.inference.runtimes.devices import Device
from services.inference.runtimes.onnx import OnnxModel as ServerModel
from shared.contracts.loop_yaml import read_loop_spec
from shared.models.onnx_runner import OnnxModel as DeployedModel

CPU = Device("cpu", ("CPUExecutionProvider",), "requested")
WORDS = ["good", "Élan", "bad", "cold", "größe", "don't", "room", "НЕТ"]
HOSTILE = [
    *("", " ", "\x00", "good\x00bad", "\ufffe\uffff", "\u202egood", "e\u0301lan", "\U0010ffff good"),
    *(
        "GOOD ÉLAN нет",
        "g" * 1_000_000,
        "good bad " * 60_000,
        "\n" * 100_000,
        "[a-z]+(",
        "%s %n {0}",
        "\U0001f44d\U0001f3fd",
    ),
]


@pytest.fixture(scope="module")
def fitted() -> tuple[Pipeline, pd.DataFrame]:
    random = np.random.default_rng(3)
    rows = pd.DataFrame({"review": [" ".join(random.choice(WORDS, 6)) for _ in range(200)]})
    rows["outcome"] = rows["review"].str.contains("good").astype(int)
    pipeline = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression())
    return pipeline.fit(rows["review"], rows["outcome"]), rows


def test_hostile_texts_get_the_score_of_the_original(
    fitted: tuple[Pipeline, pd.DataFrame], tmp_path: Path
) -> None:
    pipeline, rows = fitted
    homeostat.export(
        pipeline, rows.assign(event_time=pd.Timestamp("2026-01-01", tz="UTC")), tmp_path, name="m"
    )
    loop = read_loop_spec(tmp_path)
    expected = pipeline.predict_proba(HOSTILE)[:, 1]
    table = pa.table({"review": HOSTILE})
    deployed = DeployedModel(tmp_path / "model.onnx", loop)
    np.testing.assert_allclose(deployed.score(table), expected, atol=1e-6)

    release: Any = SimpleNamespace(model="m", version="0" * 64, generation=1, slot="live")
    manifest: Any = SimpleNamespace(
        features=loop.features, prediction=loop.prediction, matrix=loop.matrix, loop=loop
    )
    runtime = ServerModel((tmp_path / "model.onnx").read_bytes(), device=CPU, threads=1)
    served = Servable(release, manifest, runtime, loaded_at=datetime.now(UTC))
    batch = served.schema.batch([{"review": text} for text in HOSTILE])
    np.testing.assert_allclose(np.ravel(served.run(batch)), expected, atol=1e-6)
