from __future__ import annotations

import pytest

from shared.models.nullable_booleans import is_flag


@pytest.mark.parametrize(
    ("kind", "minimum", "maximum"),
    [("boolean", 0, 1), ("number", 0, 1), ("integer", 0, 2), ("integer", -1, 1), ("integer", None, 1)],
)
def test_only_integers_from_0_to_1_are_flags(kind: str, minimum: float | None, maximum: float | None) -> None:
    assert not is_flag(kind, minimum, maximum)
    assert is_flag("integer", 0.0, 1.0)
