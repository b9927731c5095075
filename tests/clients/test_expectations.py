"""Suites of the real Great Expectations, in its own environment, as a check of the gate."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.retraining.expectations.expectation_check import check_expectations, validator
from services.retraining.gate_checks.check import Measured
from shared.errors import ProjectError
from tests.integration.inference.conftest import ROOT
from tests.waiting import bound

PYTHON = ROOT / "build" / "clients" / "great_expectations" / "bin" / "python"
IN_RANGE = {"column": "weight", "min_value": 0, "max_value": 10}


@pytest.fixture(scope="module", autouse=True)
def environment() -> None:
    if not PYTHON.exists():
        if os.environ.get("CI") == "true":
            pytest.fail("run `make client-libraries`")
        pytest.skip("run `make client-libraries`")


def checked(tmp_path: Path, suite: Any) -> Measured:
    """On rows of which one in four is heavier than 10, and one in four has no colour."""
    rows = pa.table({"weight": [1.0, 2.0, 3.0, 40.0] * 25, "colour": ["red", "blue", "red", None] * 25})
    pq.write_table(rows, tmp_path / "rows.parquet")
    (tmp_path / "suite.json").write_text(json.dumps(suite))
    validate = validator(str(PYTHON), bound(120))
    return check_expectations(validate, tmp_path, "suite.json", tmp_path / "rows.parquet")


def test_suite_names_what_fails(tmp_path: Path) -> None:
    """The last expectation has the names of releases before 1, and holds."""
    done = checked(
        tmp_path,
        {
            "name": "parcels",
            "expectations": [
                {"type": "expect_column_values_to_be_between", "kwargs": IN_RANGE, "meta": {}},
                {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "weight"}},
                {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 500}},
                {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "size"}},
                {
                    "expectation_type": "expect_column_values_to_be_in_set",
                    "kwargs": {"column": "colour", "value_set": ["red", "blue"]},
                },
            ],
        },
    )
    assert done.check is not None
    assert not done.check.passed
    reason = done.check.reason
    assert reason.startswith("3 of 5 expectations of suite.json do not hold for the holdout: ")
    assert "expect_column_values_to_be_between(weight): 25 % of the rows do not meet it" in reason
    assert "expect_table_row_count_to_be_between: observed 100" in reason
    assert "expect_column_values_to_not_be_null(size): " in reason


def test_unknown_expectation_is_the_projects_error(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="suite.json cannot be validated: .*expect_miracles"):
        checked(tmp_path, {"expectations": [{"type": "expect_miracles", "kwargs": {}}]})
