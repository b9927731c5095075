"""Ledgers of tests begin as copies of one that is migrated already: the migrations take longer than most tests.

The migrations run once in each process on an empty database, and on each copy, where they find nothing to do.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_ENGINE = "services.retraining.ledger.engine"


@pytest.fixture(scope="session", autouse=True)
def migrated_ledgers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A SQLite ledger that is not there yet is copied. Tests that do not import the ledger before they run have none of it."""
    module: Any = sys.modules.get(_ENGINE)
    if module is None:
        yield
        return
    migrate = module._migrate

    @cache
    def migrated() -> Path:
        path = tmp_path_factory.mktemp("migrated") / "ledger.sqlite"
        empty = module.create_engine(f"sqlite:///{path}")
        migrate(empty)
        empty.dispose()
        return path

    def migrate_copy(engine: Any) -> None:
        path = Path(engine.url.database or ":memory:")
        if engine.url.get_backend_name() == "sqlite" and path.is_absolute() and not path.exists():
            # What is wrong with the folder, the migrations say.
            with suppress(OSError):
                shutil.copyfile(migrated(), path)
        migrate(engine)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_migrate", migrate_copy)
        yield
