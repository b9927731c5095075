"""All findings of a data set together."""

from __future__ import annotations

import numpy as np
import orjson
import pyarrow as pa
import pytest

from shared.data_checks.data_set import summarise
from tests.unit.shared.data_checks.data_sets import (
    kinds,
    loop_spec,
    numbers,
    parcels,
    unusual_types,
    with_column,
)

REFERENCE = parcels(2000, seed=1)
ROWS = parcels(500, seed=2)


def test_good_data_has_no_findings() -> None:
    summary = summarise(ROWS, loop_spec(), REFERENCE)
    assert summary.findings == ()
    assert summary.rows == 500


def test_a_fault_is_told_by_contract_and_comparison_errors_first() -> None:
    metres = with_column(ROWS, "distance_km", numbers(ROWS, "distance_km") * 1000)
    found = summarise(metres, loop_spec(), REFERENCE).findings
    assert kinds(found) == [("out_of_range", "distance_km"), ("unit_change", "distance_km")]


def test_missing_values_are_told_once() -> None:
    holes = np.where(np.arange(500) % 2 == 0, np.nan, numbers(ROWS, "distance_km"))
    found = summarise(with_column(ROWS, "distance_km", holes), loop_spec()).findings
    assert kinds(found) == [("missing_values", "distance_km")]


def test_personal_features_have_no_profile_and_no_values() -> None:
    secret = with_column(ROWS, "customer", np.where(np.arange(500) % 2 == 0, "S3cret ", "s3cret"))
    text = orjson.dumps(summarise(secret, loop_spec(), REFERENCE).as_json()).decode()
    assert "s3cret" not in text.casefold()
    assert "customer" not in [column.name for column in summarise(secret, loop_spec()).columns]


def test_any_table_is_summarised_without_a_model() -> None:
    summary = summarise(with_column(ROWS, "later", numbers(ROWS, "outcome") * 2), outcome="outcome")
    assert ("leakage", "later") in kinds(summary.findings)
    assert [column.name for column in summary.columns][-1] == "later"


@pytest.mark.parametrize("name", sorted(unusual_types(1)))
def test_columns_of_unusual_types_are_summarised_and_compared(name: str) -> None:
    """A file may have them beside the features, or as one of them; none may end the command."""
    column = unusual_types(ROWS.num_rows)[name]
    beside = ROWS.append_column(name, column)
    [profile] = [one for one in summarise(beside, loop_spec(), beside).columns if one.name == name]
    assert (profile.type, profile.rows, profile.missing) == (str(column.type), 500, 0)
    for feature in loop_spec().features:
        place = ROWS.column_names.index(feature.name)
        summarise(ROWS.set_column(place, feature.name, column), loop_spec(), REFERENCE)


def test_half_floats_and_views_are_numbers_and_texts() -> None:
    columns = unusual_types(100)
    found = {
        one.name: one
        for one in summarise(pa.table({"half": columns["half"], "view": columns["view"]})).columns
    }
    assert (found["half"].kind, found["half"].maximum) == ("number", 49.0)
    assert (found["view"].kind, found["view"].distinct) == ("text", 2)
