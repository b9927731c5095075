"""What becomes of a suite's results, and of a suite or a Python that is missing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from services.retraining.expectations.expectation_check import check_expectations, validator
from shared.errors import OperatorError, ProjectError


def result(column: str, *, holds: bool = True, **more: Any) -> dict[str, Any]:
    found = {"observed": None, "unexpected_percent": None, "problem": ""}
    return {"type": "expect_x", "column": column, "holds": holds, **found, **more}


def check(tmp_path: Path, results: Sequence[dict[str, Any]], name: str = "suite.json") -> Any:
    (tmp_path / "suite.json").write_text("{}")
    return check_expectations(lambda suite, rows: results, tmp_path, name, tmp_path / "rows.parquet")


def test_suite_that_holds_passes(tmp_path: Path) -> None:
    done = check(tmp_path, [result("a"), result("b")])
    assert (done.check.passed, done.check.reason) == (
        True,
        "all 2 expectations of suite.json hold for the holdout",
    )
    assert [one["column"] for one in done.numbers["expectations"]] == ["a", "b"]


def test_failed_expectations_are_named(tmp_path: Path) -> None:
    failed = [
        result("a", holds=False, unexpected_percent=12.345),
        result("", holds=False, observed=7),
        result("c", holds=False, problem="no column c"),
        result("d", holds=False),
    ]
    done = check(tmp_path, [result("e"), *failed])
    assert not done.check.passed
    assert done.check.reason == (
        "4 of 5 expectations of suite.json do not hold for the holdout: expect_x(a): 12.3 % of the rows do not meet it; "
        "expect_x: observed 7; expect_x(c): no column c and 1 more"
    )


def test_empty_suite_passes_nothing(tmp_path: Path) -> None:
    assert not check(tmp_path, []).check.passed


@pytest.mark.parametrize("name", ["other.json", "../suite.json", "/etc/hosts"])
def test_suite_is_a_file_of_the_project(tmp_path: Path, name: str) -> None:
    (tmp_path.parent / "suite.json").write_text("{}")
    with pytest.raises(ProjectError, match="has no file"):
        check(tmp_path, [], name)


def test_python_of_the_library_is_a_setting(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="HOMEOSTAT_RETRAINING_EXPECTATIONS_PYTHON is not set"):
        validator("", 5)(tmp_path, tmp_path)
    with pytest.raises(OperatorError, match="cannot be started"):
        validator(str(tmp_path / "python"), 5)(tmp_path, tmp_path)


def test_python_without_the_library_says_so(tmp_path: Path) -> None:
    suite = tmp_path / "suite.json"
    suite.write_text("{}")
    with pytest.raises(ProjectError, match="suite.json cannot be validated: .*great_expectations"):
        validator(sys.executable, 60)(suite, tmp_path / "rows.parquet")
