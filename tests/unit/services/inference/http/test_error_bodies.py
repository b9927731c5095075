"""Errors in the form of the clients of a path."""

from __future__ import annotations

import pytest

from services.inference.http.error_bodies import in_form_of
from shared.http.errors import ErrorResponse

REFUSED = ErrorResponse(422, {"error": "x is 3", "field": "x", "expected": "a text", "hint": "ask again"})


@pytest.mark.parametrize("path", ["/v2", "/v2/models/toy/infer"])
def test_open_inference_error_is_one_text(path: str) -> None:
    made = in_form_of(path, REFUSED)
    assert made.status == 422
    assert made.document == {
        "error": "x is 3; expected a text; ask again",
        "field": "x",
        "expected": "a text",
    }


def test_open_inference_error_keeps_its_id() -> None:
    made = in_form_of("/v2/models/toy/infer", ErrorResponse(500, {"error": "internal", "error_id": "e1"}))
    assert made.document == {"error": "internal; error_id e1", "error_id": "e1"}


@pytest.mark.parametrize("path", ["/predict", "/v2x"])
def test_other_paths_keep_their_form(path: str) -> None:
    assert in_form_of(path, REFUSED) == REFUSED


@pytest.mark.parametrize("path", ["/invocations", "/ping", "/endpoints/toy/invocations"])
def test_mlflow_error_has_code_and_message(path: str) -> None:
    assert in_form_of(path, REFUSED).document == {
        "error_code": "INVALID_PARAMETER_VALUE",
        "message": "x is 3; expected a text; ask again",
        "field": "x",
        "expected": "a text",
    }
