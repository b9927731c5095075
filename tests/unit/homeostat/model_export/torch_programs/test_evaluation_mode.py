from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.export import Dim

from homeostat.model_export.torch_programs.evaluation_mode import check_program, evaluating, is_program
from shared.errors import ExportRefused


def module() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 1), nn.Sigmoid())


def program(given: nn.Module, **options: Any) -> torch.export.ExportedProgram:
    return torch.export.export(given, (torch.zeros(3, 2),), **options)


def test_module_returns_to_its_mode() -> None:
    given = module()
    with evaluating(given):
        assert not given.training
    assert given.training
    assert not is_program(given)


@pytest.mark.parametrize(
    ("given", "operator"),
    [(module(), "batch_norm"), (nn.Sequential(nn.Dropout(), nn.Linear(2, 1)), "dropout")],
)
def test_program_in_training_mode_is_refused(given: nn.Module, operator: str) -> None:
    saved = program(given, dynamic_shapes=({0: Dim.DYNAMIC},))
    with pytest.raises(ExportRefused, match=f"in training mode, with {operator}") as refused:
        check_program(saved.module())
    assert "module.eval()" in refused.value.hint


def test_program_for_a_fixed_number_of_rows_is_refused() -> None:
    with pytest.raises(ExportRefused, match="for 3 rows, and requests have any number") as refused:
        check_program(program(module().eval()).module())
    assert "dynamic first dimension" in refused.value.hint
