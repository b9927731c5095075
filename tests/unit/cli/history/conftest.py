"""A model of the log's tests, and rows of its history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.history.content import CheckedFile
from cli.history.history_file import check_file
from cli.history.validation import Columns, Validation
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import parse_loop_spec
from tests.unit.services.prediction_log.conftest import Log

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LOOP = """
model: flights
features:
  - {name: distance, type: number}
  - {name: carrier, type: category, values: [AA, UA]}
  - {name: note, type: text, nullable: true, personal: pseudonym}
prediction: {kind: probability}
outcome: {delay: 2h}
metric: {name: log_loss}
drift: {window: {every: 1d}}
retraining: {command: [python, train.py]}
gate: {holdout: 1d}
"""
HEADER = "event_time,distance,carrier,note,outcome\n"


def loop() -> LoopSpec:
    return parse_loop_spec(LOOP, origin="loop.yaml")


def validation(columns: Columns | None = None, spec: LoopSpec | None = None) -> Validation:
    return Validation(spec or loop(), columns or Columns(), NOW, lambda value: f"ps({value})")


def csv_rows(first: int, count: int) -> str:
    """A row an hour from noon on; every third one has no outcome."""
    return "".join(
        f"2013-01-{1 + row // 24:02d}T{row % 24:02d}:00:00Z,{row}.5,{('UA', 'AA')[row % 2]},n{row},{outcome_of(row)}\n"
        for row in range(first, first + count)
    )


def outcome_of(row: int) -> str:
    return "" if row % 3 == 2 else str(row % 2)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path)
    yield log
    log.spool.close()


@pytest.fixture
def checked(tmp_path: Path) -> Callable[[str], CheckedFile]:
    """The rows of a CSV text, checked."""
    made = []

    def check(text: str, name: str = "rows.csv") -> CheckedFile:
        path = tmp_path / name
        path.write_text(text)
        made.append(path)
        return check_file(path, validation(), tmp_path / f"{len(made)}.arrow")[0]

    return check
