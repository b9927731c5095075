"""A data set held against loop.yaml."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from shared.contracts.loop_spec import LoopSpec
from shared.data_checks.contract import contract_findings
from shared.data_checks.finding import Finding
from tests.unit.shared.data_checks.data_sets import loop_spec, numbers, parcels, with_column

ROWS = parcels(200)


def findings(table: pa.Table) -> list[Finding]:
    return list(contract_findings(table, loop_spec()))


def test_good_rows_fit() -> None:
    assert findings(ROWS) == []
    assert findings(ROWS.drop_columns(["outcome"])) == []


HOLES = pa.array(np.arange(200.0), mask=np.arange(200) % 10 == 0)


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("distance_km", HOLES, "missing_values"),
        ("distance_km", [f"{value:.1f}" for value in numbers(ROWS, "distance_km")], "wrong_type"),
        ("parcels_today", numbers(ROWS, "parcels_today") + 0.5, "wrong_type"),
        ("service", np.where(np.arange(200) % 4 == 0, "Express", "economy"), "unknown_category"),
        ("distance_km", numbers(ROWS, "distance_km") * -1, "out_of_range"),
        ("outcome", numbers(ROWS, "outcome") * 0.5, "out_of_range"),
        ("outcome", [[1.0]] * 200, "wrong_type"),
    ],
)
def test_what_inference_refuses_is_an_error(name: str, values: object, kind: str) -> None:
    [found] = findings(with_column(ROWS, name, values))
    assert (found.kind, found.severity, found.column) == (kind, "error", name)
    assert found.hint


def test_missing_column() -> None:
    [found] = findings(ROWS.drop_columns(["service"]))
    assert (found.kind, found.column) == ("missing_column", "service")


def test_few_values_out_of_range_are_a_note() -> None:
    distance = np.append(numbers(ROWS, "distance_km")[1:], 6000)
    [found] = findings(with_column(ROWS, "distance_km", distance))
    assert (found.kind, found.severity) == ("out_of_range", "note")


def test_missing_outcomes_and_nullable_features_fit() -> None:
    table = with_column(with_column(ROWS, "outcome", pa.nulls(200, pa.float64())), "weight_kg", HOLES)
    assert findings(table) == []


def test_a_slice_that_could_not_be_judged_is_a_note() -> None:
    declared = [{"feature": "service"}, {"where": "distance_km > 1e9", "name": "far"}]
    document = loop_spec().model_dump(mode="json") | {"slices": declared}
    document["drift"]["window"]["minimum_rows"] = 20
    loop = LoopSpec.model_validate(document)
    [found] = contract_findings(ROWS, loop)
    assert (found.kind, found.severity, found.value, found.limit) == ("small_slice", "note", 0.0, 20.0)
    assert "slice far has 0 rows" in found.message
    texts = with_column(ROWS, "distance_km", ["far"] * 200)
    assert [one.kind for one in contract_findings(texts, loop)] == ["wrong_type"]
