"""Opening the ledger's database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from services.retraining.ledger.engine import open_engine
from shared.errors import OperatorError


def test_ledger_of_an_earlier_build_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    open_engine(f"sqlite:///{path}").dispose()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = '0002'")
    with pytest.raises(OperatorError, match="created by another version of Homeostat") as caught:
        open_engine(f"sqlite:///{path}")
    assert "an empty database" in caught.value.hint


def test_unknown_database_is_refused() -> None:
    with pytest.raises(OperatorError, match="does not support mysql"):
        open_engine("mysql://localhost/ledger")
