from __future__ import annotations

import numpy as np
import pyarrow as pa

from services.drift.evaluation.columns import Rows, columns_of, rows_from_table
from services.drift.slice_search.conditions import MAX_CANDIDATES, candidates
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.slices.slice_spec import Slice, slices_of
from tests.unit.services.drift.world import loop

FEATURES = [
    {"name": "x", "type": "number", "nullable": True},
    {"name": "hour", "type": "integer", "watch": False},
    {"name": "c", "type": "category", "unknown": "serve"},
    {"name": "member", "type": "boolean"},
    {"name": "email", "type": "category", "unknown": "serve", "personal": True},
    {"name": "note", "type": "text"},
]


def rows(seed: int, spec: LoopSpec, count: int = 400) -> tuple[Rows, pa.Table]:
    random = np.random.default_rng(seed)
    x = random.normal(size=count)
    x[:20] = np.nan
    table = pa.table(
        {
            "event_time": pa.array(np.arange(count) * 1_000_000, pa.timestamp("us", tz="UTC")),
            "x": x.astype(np.float32),
            "hour": random.integers(0, 24, count),
            "c": random.choice(["a", 'quote"', "new\nline", "b"], count),
            "member": random.random(count) < 0.5,
            "email": ["a@example.org"] * count,
            "note": ["words"] * count,
            "score": random.random(count),
            "outcome": random.random(count) < 0.5,
        }
    )
    return rows_from_table(table, spec), table


def test_conditions_are_those_of_loop_yaml() -> None:
    """Parsed and applied to the same rows, each gives the rows that were measured."""
    spec = loop(features=FEATURES)
    (window, table), (reference, _) = rows(1, spec), rows(2, spec)
    found = candidates(columns_of(spec), window, reference, watched=False)
    texts = [one.text for one in found]
    assert sum(text.startswith("x ") for text in texts) == 7
    assert {"x is missing", 'c == "a"', 'c == "b"', "member == true", "member == false"} <= set(texts)
    assert not [
        text for text in texts if "email" in text or "note" in text or "quote" in text or "\n" in text
    ]
    where = [{"name": f"s{place}", "where": text} for place, text in enumerate(texts)]
    declared = slices_of(loop(features=FEATURES, slices=where).slices, spec.features, table)
    for one, other in zip(found, declared, strict=True):
        assert isinstance(other, Slice)
        assert (one.window == other.rows(table)).all(), one.text


def test_unwatched_features_are_left_out_where_drift_of_inputs_is_searched() -> None:
    spec = loop(features=FEATURES)
    window, reference = rows(1, spec)[0], rows(2, spec)[0]
    watched = {one.text.split()[0] for one in candidates(columns_of(spec), window, reference, watched=True)}
    assert watched == {"x", "c", "member"}


def test_a_wide_model_has_no_more_candidates_than_memory_allows() -> None:
    wide = [{"name": f"x{place}", "type": "number"} for place in range(300)]
    spec = loop(features=wide)
    count = 50
    values = np.random.default_rng(1).normal(size=(300, count))
    table = pa.table(
        {
            "event_time": pa.array(np.arange(count) * 1_000_000, pa.timestamp("us", tz="UTC")),
            **{f"x{place}": values[place] for place in range(300)},
        }
    )
    many = rows_from_table(table, spec)
    assert MAX_CANDIDATES <= len(candidates(columns_of(spec), many, many, watched=True)) < MAX_CANDIDATES + 24
