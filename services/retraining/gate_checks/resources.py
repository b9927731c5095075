"""Size and memory of the models. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.retraining.gate_checks.check import Check, Measured

_MIB = 1 << 20


@dataclass(frozen=True)
class Resources:
    """Bytes of the model file, and of the memory that loading it and scoring the holdout took; None if not measured."""

    size: int
    memory: int | None = None


def check_resources(
    challenger: Resources,
    champion: Resources | None,
    *,
    maximum_size_mib: float | None,
    maximum_memory_mib: float | None,
) -> list[Measured]:
    """One entry for the size, one for the memory; each with a check only if there is a bound."""
    return [
        _measured("size", challenger.size, champion.size if champion else None, maximum_size_mib),
        *(
            [
                _measured(
                    "memory", challenger.memory, champion.memory if champion else None, maximum_memory_mib
                )
            ]
            if challenger.memory is not None
            else []
        ),
    ]


def _measured(name: str, after: int, before: int | None, bound: float | None) -> Measured:
    numbers: Mapping[str, Any] = {"champion_bytes": before, "challenger_bytes": after}
    if bound is None:
        return Measured(name, None, numbers)
    what = "the model file has" if name == "size" else "scoring the holdout takes"
    reason = f"{what} {after / _MIB:.1f} MiB; gate.maximum_{name}_mib is {bound:g}"
    return Measured(name, Check(name, after <= bound * _MIB, reason), numbers)
