"""Puts the libraries of `make export-libraries` on the path; without them, the tests are skipped, or fail in CI."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import homeostat

LIBRARIES = Path(__file__).parents[2] / "build" / "export-libraries"
Export = Callable[..., homeostat.ExportReport]


@pytest.fixture(scope="session", autouse=True)
def libraries() -> None:
    if not (LIBRARIES / ".installed").exists():
        said = "XGBoost, LightGBM and CatBoost are not installed; `make export-libraries` does it"
        pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)
    # At the end: what is in the environment too comes from there.
    sys.path.append(str(LIBRARIES))


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    """Numbers with missing values, integers, booleans, categoricals of texts (some missing) and of whole numbers."""
    random = np.random.default_rng(7)
    count = 1500
    shop = random.choice(["corner", "mall", "web", "kiosk"], count)
    rows = pd.DataFrame(
        {
            "amount": np.where(random.random(count) < 0.1, np.nan, random.gamma(2, 50, count)),
            "age": random.integers(18, 90, count),
            "shop": pd.Categorical(pd.Series(shop, dtype=object).mask(random.random(count) < 0.05)),
            "weekday": pd.Categorical(random.integers(1, 8, count)),
            "card": random.random(count) < 0.5,
        }
    )
    rows["value"] = (
        rows["amount"].fillna(120) / 100
        + (rows["shop"] == "web")
        + (rows["weekday"].astype(int) == 7) * 0.8
        + rows["card"] * (rows["age"] / 60)
        + random.normal(scale=0.3, size=count)
    )
    rows["outcome"] = (rows["value"] > 2).astype(int)
    rows["event_time"] = pd.date_range("2026-01-01", periods=count, freq="20min", tz="UTC")
    return rows


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Export into a folder of the test's own."""

    def exported(model: Any, rows: pd.DataFrame, **options: Any) -> homeostat.ExportReport:
        return homeostat.export(model, rows, tmp_path / "project", **options)

    return exported
