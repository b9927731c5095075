from __future__ import annotations

import traceback

import pytest

from homeostat.model_export.checks.library_errors import first_line, refuses_alone, refusing
from shared.errors import ExportRefused, UnservableModel


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("X has 2 features\nfor 3"), "X has 2 features"),
        (KeyError("age"), "KeyError: 'age'"),
        (ValueError(), "ValueError"),
        (RuntimeError("[10:11:12] /src/learner.cc:12: Check failed: no trees"), "Check failed: no trees"),
        (ValueError("a " * 500), "a " * 150),
    ],
)
def test_first_line_has_the_library_message(error: Exception, line: str) -> None:
    assert first_line(error) == line


def test_exception_of_a_library_names_the_step() -> None:
    with (
        pytest.raises(ExportRefused) as refused,
        refusing("reading the model", hint="check that it is fitted"),
    ):
        raise LookupError("no trees here\nsee above")
    assert str(refused.value) == "reading the model failed: no trees here (check that it is fitted)"
    assert isinstance(refused.value.__cause__, LookupError)


def test_refusal_passes_as_it_is() -> None:
    with pytest.raises(ExportRefused, match="^no trees$"), refusing("reading", hint="read"):
        raise ExportRefused("no trees")


@refuses_alone
def _export(error: Exception, cause: Exception | None = None) -> None:
    def inside() -> None:
        raise error from cause

    inside()


def lines_of(error: BaseException) -> list[str]:
    return "".join(traceback.format_exception(error)).splitlines()


def test_last_line_of_a_traceback_is_the_message() -> None:
    with pytest.raises(ExportRefused) as refused:
        _export(UnservableModel("inputs missing: chip", hint="export it again"))
    lines = lines_of(refused.value)
    assert lines[-1] == "shared.errors.ExportRefused: inputs missing: chip (export it again)"
    # The caller's line and the export's: nothing of the frames inside, and nothing above.
    assert [line.rpartition("in ")[2] for line in lines if line.startswith("  File")] == [
        "test_last_line_of_a_traceback_is_the_message",
        "refusing_alone",
    ]


def test_hint_below_a_table_is_the_last_line() -> None:
    with pytest.raises(ExportRefused) as refused:
        _export(
            ExportRefused("other scores\nrow  original\n  1  0.5", hint="export with a larger tolerance=")
        )
    assert lines_of(refused.value)[-1] == "export with a larger tolerance="


def test_cause_of_a_library_is_shown_first() -> None:
    with pytest.raises(ExportRefused) as refused:
        _export(ExportRefused("it failed", hint="fit it"), KeyError("age"))
    lines = lines_of(refused.value)
    assert lines[0] == "KeyError: 'age'"
    assert lines[-1] == "shared.errors.ExportRefused: it failed (fit it)"


def test_other_exceptions_stay_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError):
        _export(ZeroDivisionError("ours"))
