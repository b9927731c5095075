"""What `homeostat.export` takes: the cases of its tests, by library; and the limits in the code."""

from __future__ import annotations

from collections.abc import Sequence

from docs.reference.markdown import table
from tests.export.matrix import LIBRARIES
from tests.export.matrix.case import Case


def models_table(library: str) -> str:
    """A row per model: whether it is exported, and the condition or the alternative."""
    rows: dict[str, list[Case]] = {}
    for case in LIBRARIES[library.replace("_", " ")]:
        rows.setdefault(case.model, []).append(case)
    return table(("model", "exported", "condition, or what to do instead"), map(_row, rows.items()))


def _row(row: tuple[str, Sequence[Case]]) -> tuple[str, str, str]:
    model, cases = row
    if len({bool(case.refused) for case in cases}) != 1:
        raise ValueError(f"cases of {model!r} are exported and refused: give them rows of their own")
    return (
        model,
        "no" if cases[0].refused else "yes",
        next((case.remark for case in cases if case.remark), ""),
    )
