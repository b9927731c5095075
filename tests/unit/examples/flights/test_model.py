from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch

from examples.flights.model import CATEGORIES, INTEGERS, NUMBERS, LateFlights, Preparation, write_onnx
from tests.unit.examples.flights.rows import made_flights


@pytest.fixture
def network() -> LateFlights:
    torch.manual_seed(3)
    network = LateFlights(Preparation.fit(made_flights(600), seen_at_least=5))
    network.eval()
    return network


def _onnx(path: Path, rows: pd.DataFrame) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feed = {name: rows[name].to_numpy("int64" if name in INTEGERS else object) for name in CATEGORIES}
    feed |= {name: rows[name].to_numpy("float32") for name in NUMBERS}
    return np.asarray(session.run(["score"], feed)[0])


def test_the_graph_answers_what_the_network_answers(network: LateFlights, tmp_path: Path) -> None:
    write_onnx(network, tmp_path / "model.onnx")
    rows = made_flights(400, seed=8)
    rows.loc[:20, list(NUMBERS)] = np.nan
    rows.loc[20:40, "temp"] = 4000.0
    scores = _onnx(tmp_path / "model.onnx", rows)
    assert scores.shape == (400,)
    assert np.abs(scores - network.score(rows)).max() < 1e-5


def test_a_value_training_never_saw_shares_the_rare_embedding(network: LateFlights, tmp_path: Path) -> None:
    write_onnx(network, tmp_path / "model.onnx")
    rows = made_flights(2)
    rows.loc[0, "dest"], rows.loc[1, "dest"] = "ANC", "HNL"
    rows.loc[1, [*CATEGORIES, *NUMBERS]] = rows.loc[0, [*CATEGORIES, *NUMBERS]]
    rows.loc[1, "dest"] = "HNL"
    first, second = _onnx(tmp_path / "model.onnx", rows)
    assert first == second
    rows["dest"] = "IAH"
    assert _onnx(tmp_path / "model.onnx", rows)[0] != first


def test_a_missing_number_is_not_taken_for_the_mean(network: LateFlights) -> None:
    rows = made_flights(2)
    rows.loc[1, [*CATEGORIES, *NUMBERS]] = rows.loc[0, [*CATEGORIES, *NUMBERS]]
    mean = float(network.preparation.mean[NUMBERS.index("temp")])
    rows.loc[0, "temp"], rows.loc[1, "temp"] = mean, np.nan
    first, second = network.score(rows)
    assert first != second
