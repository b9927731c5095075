"""The tree of errors: who must act decides the status, and every message carries its hint."""

from __future__ import annotations

import inspect

import pytest

from shared import errors

STATUS = {
    errors.HomeostatError: 500,
    errors.CallerError: 400,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.ProjectError: 422,
    errors.ExportRefused: 422,
    errors.InvalidLoopSpec: 422,
    errors.TrainingFailed: 422,
    errors.UnservableModel: 422,
    errors.OperatorError: 503,
    errors.DependencyUnavailable: 503,
    errors.RowsNotReady: 503,
    errors.IntegrityError: 500,
}


def classes() -> list[type[errors.HomeostatError]]:
    members: list[type] = [member for _, member in inspect.getmembers(errors, inspect.isclass)]
    return [member for member in members if member.__module__ == errors.__name__]


def test_every_error_is_in_the_documented_tree() -> None:
    for member in classes():
        assert issubclass(member, errors.HomeostatError), member
        assert member.__name__ in str(errors.__doc__), (
            f"{member.__name__} is missing in the picture at the top of errors.py"
        )


def test_every_error_has_its_http_status() -> None:
    assert {member: member.status for member in classes() if member is not errors.InvalidRequest} == STATUS


def test_hint_follows_the_message() -> None:
    error = errors.OperatorError("port 8000 is taken", hint="end what uses it")
    assert str(error) == "port 8000 is taken (end what uses it)"
    assert (error.message, error.hint) == ("port 8000 is taken", "end what uses it")
    assert str(errors.OperatorError("disk full")) == "disk full"


@pytest.mark.parametrize("status", [422, 413])
def test_invalid_request_names_field_expected_and_row(status: int) -> None:
    error = errors.InvalidRequest(
        "rows[3].carrier is wrong", field="carrier", expected="AA or UA", row=3, status=status
    )
    assert (error.field, error.expected, error.row, error.status) == ("carrier", "AA or UA", 3, status)
    assert isinstance(error, errors.CallerError)


def test_invalid_request_is_422_by_default() -> None:
    assert errors.InvalidRequest("x", field="f", expected="e").status == 422
