"""A validation problem as one sentence, without the validator's words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from shared.validation_text import problem_text, show


class Example(BaseModel):
    port: Annotated[int, Field(ge=1, le=65535)] = 1
    share: float = 0.5
    level: Literal["debug", "info"] = "info"
    folder: Path = Path()
    names: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("port", "80x", "X is '80x'; expected a whole number"),
        ("port", 0, "X is 0; expected at least 1"),
        ("port", 70000, "X is 70000; expected at most 65535"),
        ("share", "half", "X is 'half'; expected a number"),
        ("level", "loud", "X is 'loud'; expected one of debug, info"),
        ("names", 3, "X is 3; expected a list"),
    ],
)
def test_problem_is_one_plain_sentence(field: str, value: object, sentence: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Example.model_validate({field: value})
    assert problem_text("X", raised.value.errors()[0]) == sentence


def test_shown_values_are_short() -> None:
    assert show({"a": 1}) == "{'a': 1}"
    assert show("x" * 100) == "'" + "x" * 56 + "…"


def test_deep_nesting_can_be_shown() -> None:
    """A parser follows 1024 levels of a request; Python's repr does not."""
    deep: object = 1
    for _ in range(5000):
        deep = [deep]
    assert show(deep) == "nested too deeply to be shown"
