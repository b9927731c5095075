"""Every model of the page `docs/what-fits.md` is exported, or refused with a message that says what to do."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

import homeostat
from shared.errors import ExportRefused
from tests.export.matrix import LIBRARIES
from tests.export.matrix.case import Case, example_rows

CASES = [
    pytest.param(case, id=f"{library}: {case.name}") for library, cases in LIBRARIES.items() for case in cases
]


@pytest.mark.parametrize("case", CASES)
def test_model_is_exported_or_refused(case: Case, tmp_path: Path) -> None:
    rows = case.change(example_rows())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = case.fit(rows)
        if case.refused:
            with pytest.raises(ExportRefused) as refused:
                homeostat.export(model, rows, tmp_path / "project", **case.options)
            assert re.search(case.refused, refused.value.message), refused.value
            assert refused.value.hint
            assert not (tmp_path / "project").exists()
            return
        report = homeostat.export(model, rows, tmp_path / "project", **case.options)
    # A known limit, of texts that no row has, is a warning with advice.
    compared = [one for one in report.comparisons if not one.advice]
    assert [one.differing for one in compared] == [0] * len(compared)
    assert report.comparisons[0].rows == len(rows)
