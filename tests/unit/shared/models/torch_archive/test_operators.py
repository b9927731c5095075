from __future__ import annotations

import pytest

from shared.models.torch_archive.operators import OPERATORS, SYMBOLIC, operator_of

FORBIDDEN = {
    "from_file",
    "save",
    "set_",
    "resize_",
    "empty",
    "empty_like",
    "new_empty",
    "rand",
    "randn",
    "record_stream",
    "data",
    "copy_out",
}


def test_nothing_that_reaches_beyond_its_tensors_is_listed() -> None:
    assert not FORBIDDEN & OPERATORS
    assert all(operator_of(f"torch.ops.aten.{name}.default") is None for name in FORBIDDEN)


def test_operators_in_place_are_those_of_the_list() -> None:
    assert operator_of("torch.ops.aten.relu_.default") == ("relu_", "default")
    assert operator_of("torch.ops.aten.relu__.default") is None


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [("_operator.floordiv", (7, 2), 3), ("torch.sym_max", (1, 4), 4), ("torch.sym_ite", (False, 1, 2), 2)],
)
def test_sizes_are_computed_as_numbers(name: str, arguments: tuple[int, ...], result: int) -> None:
    assert SYMBOLIC[name](*arguments) == result
