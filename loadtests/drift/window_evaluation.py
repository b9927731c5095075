"""How long drift takes to judge one window: 7 days of flights' shape (6,500 rows, 15 features) against 20,000 reference rows.

Times are of the whole path from rows in memory to scores, Evidently included; import of Evidently and preparation of the
reference, which happen once, are given beside it.
"""

from __future__ import annotations

import resource
import statistics
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from services.drift.evaluation.classify import Subject, classify
from services.drift.evaluation.columns import Rows, rows_from_table
from services.drift.evaluation.evaluator import Evaluator
from services.drift.evaluation.evidently_adapter import EvidentlyAdapter
from services.drift.evaluation.reference_profile import build_reference
from services.drift.windows import Span
from shared.contracts.loop_spec import LoopSpec

START = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW, WINDOW_ROWS, REFERENCE_ROWS = timedelta(days=7), 6500, 20_000
CATEGORIES = {"carrier": 16, "origin": 3, "destination": 105, "weekday": 7}
NUMBERS = 11
RUNS = 7


def measure_window_evaluation() -> str:
    """The measurement as one line."""
    began = time.perf_counter()
    adapter = EvidentlyAdapter()
    adapter.warm()
    imported = time.perf_counter() - began
    spec, random = _spec(), np.random.default_rng(13)
    began = time.perf_counter()
    reference = build_reference("0" * 64, spec, _rows(spec, REFERENCE_ROWS, WINDOW * 3, random))
    prepared = time.perf_counter() - began
    evaluator, seconds, states = Evaluator(adapter), [], []
    for place in range(RUNS):
        rows = _rows(spec, WINDOW_ROWS, WINDOW, random)
        start = START + WINDOW * place
        subject = Subject("flights", "0" * 64, 1, "request", Span(start, start + WINDOW))
        began = time.perf_counter()
        verdict = classify(subject, evaluator.evaluate(subject, rows, reference), start)
        seconds.append(time.perf_counter() - began)
        states.append(verdict.state)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"window evaluation: rows={WINDOW_ROWS} reference={REFERENCE_ROWS} features={NUMBERS + len(CATEGORIES)} runs={RUNS} "
        f"median_s={statistics.median(seconds):.3f} worst_s={max(seconds):.3f} import_s={imported:.1f} "
        f"reference_s={prepared:.2f} memory_mb={memory:.0f} alarms={sum(state != 'ok' for state in states)}"
    )


def _spec() -> LoopSpec:
    features: list[dict[str, object]] = [{"name": f"x{place}", "type": "number"} for place in range(NUMBERS)]
    for name, levels in CATEGORIES.items():
        features.append(
            {"name": name, "type": "category", "values": [f"v{level}" for level in range(levels)]}
        )
    return LoopSpec.model_validate(
        {
            "model": "flights",
            "features": features,
            "prediction": {"kind": "probability"},
            "outcome": {"delay": "1d"},
            "metric": {"name": "log_loss"},
            "drift": {"window": {"every": "7d"}},
            "retraining": {"command": ["python", "train.py"]},
            "gate": {"holdout": "5d"},
        }
    )


def _rows(spec: LoopSpec, count: int, length: timedelta, random: np.random.Generator) -> Rows:
    score = random.beta(2, 5, count)
    columns: dict[str, object] = {
        "event_time": [START + length / count * place for place in range(count)],
        "score": score,
        "outcome": (random.random(count) < score).astype(float),
    }
    for place in range(NUMBERS):
        columns[f"x{place}"] = random.normal(size=count)
    for name, levels in CATEGORIES.items():
        columns[name] = [f"v{level}" for level in random.integers(0, levels, count)]
    return rows_from_table(pa.table(columns), spec)
