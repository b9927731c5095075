"""Drift of protected features: windows and reference are protected alike, so a pseudonym is a category like any other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from services.drift.evaluation.classify import Subject, classify
from services.drift.evaluation.columns import Rows, rows_from_table
from services.drift.evaluation.evaluator import Evaluator
from services.drift.evaluation.reference_profile import build_reference
from services.drift.windows import Span
from shared.contracts.verdict import Verdict
from shared.personal_data.protection import protected_rows
from shared.personal_data.pseudonyms import Pseudonyms
from tests.fakes.personal_model import personal_loop
from tests.unit.services.drift.distances import ScipyDistances

START = datetime(2026, 1, 1, tzinfo=UTC)
LOOP = personal_loop(drift={"window": {"every": "1h", "minimum_rows": 100}})
NAMES = Pseudonyms([b"k" * 32])
EVEN, SHIFTED = [0.25, 0.25, 0.25, 0.25], [0.85, 0.05, 0.05, 0.05]


def logged(shares: list[float], *, seed: int, count: int = 2000, raw: bool = False) -> Rows:
    random = np.random.default_rng(seed)
    people = random.choice(["anna", "ben", "cleo", "dora"], count, p=shares)
    rows = pa.table(
        {
            "event_time": [START + timedelta(seconds=row) for row in range(count)],
            "customer": people.tolist(),
            "note": [None if row % 10 == 0 else f"note {row}" for row in range(count)],
            "age": random.normal(40, 10, count),
            "amount": random.normal(0, 1, count),
            "score": random.normal(0, 1, count),
        }
    )
    features = [one for one in LOOP.features if not (raw and one.name == "customer")]
    return rows_from_table(protected_rows(rows, features, NAMES.of), LOOP)


def judge(window: Rows, reference: Rows) -> Verdict:
    subject = Subject("loans", "ab" * 32, 1, "inputs", Span(START, START + timedelta(hours=1)))
    found = build_reference("ab" * 32, LOOP, reference)
    return classify(subject, Evaluator(ScipyDistances()).evaluate(subject, window, found), START)


@pytest.mark.parametrize("seed", range(5))
def test_protected_features_are_neither_drift_nor_fault(seed: int) -> None:
    verdict = judge(logged(EVEN, seed=seed), logged(EVEN, seed=100 + seed, count=8000))
    assert verdict.state == "ok", verdict


def test_other_customers_are_drift_of_the_pseudonyms() -> None:
    verdict = judge(logged(SHIFTED, seed=1), logged(EVEN, seed=2, count=8000))
    assert verdict.state == "drift"
    assert verdict.top_drifted_features == ("customer",)


def test_raw_reference_would_be_drift_of_everything() -> None:
    verdict = judge(logged(EVEN, seed=1), logged(EVEN, seed=2, count=8000, raw=True))
    assert verdict.state != "ok"
