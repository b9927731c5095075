"""One model, and what the export makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

COUNT = 400
NUMBERS = ["paid", "age", "visits"]


@dataclass(frozen=True)
class Case:
    """`model`: its row of the page, shared by variants. `fit`: a fitted model, from the rows. `change`: of the rows, before both.

    `refused`: what the message says, a regular expression; empty if the model is exported. `remark`: on the page, the condition,
    or what to do instead. `options`: of the export.
    """

    model: str
    fit: Callable[[pd.DataFrame], Any]
    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows
    refused: str = ""
    remark: str = ""
    variant: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For the test's id."""
        return f"{self.model}, {self.variant}" if self.variant else self.model


@cache
def _rows() -> pd.DataFrame:
    random = np.random.default_rng(7)
    shop = random.choice(["corner", "mall", "web", "kiosk"], COUNT)
    amount = np.where(random.random(COUNT) < 0.1, np.nan, random.gamma(2, 50, COUNT))
    rows = pd.DataFrame(
        {
            "amount": amount,
            "paid": np.where(np.isnan(amount), random.uniform(100, 140, COUNT), amount),
            "age": random.integers(18, 90, COUNT),
            "visits": random.poisson(2, COUNT),
            "shop": pd.Categorical(pd.Series(shop, dtype=object).mask(random.random(COUNT) < 0.05)),
            "weekday": pd.Categorical(random.integers(1, 8, COUNT)),
            "card": random.random(COUNT) < 0.5,
            "town": shop,
        }
    )
    score = rows["paid"] / 100 + (shop == "web") + (rows["weekday"].astype(int) == 7) * 0.8
    score += rows["card"] * rows["age"] / 60 + random.normal(scale=0.3, size=COUNT)
    return rows.assign(
        value=score.clip(0.1),
        outcome=(score > score.median()).astype(int),
        class_=pd.cut(score, 3, labels=["low", "middle", "high"]).astype(str),
        number=pd.cut(score, 3, labels=False).astype(int),
        event_time=pd.date_range("2026-01-01", periods=COUNT, freq="20min", tz="UTC"),
    )


def example_rows() -> pd.DataFrame:
    """Numbers (`amount` with missing values), integers, categoricals, a boolean, texts; outcomes of each kind."""
    return _rows().copy()


def with_spaces(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with a space in the name `paid sum`."""
    return rows.rename(columns={"paid": "paid sum"})


def without_towns(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with some towns missing: NaN, as pandas reads them, not None."""
    return rows.assign(town=rows["town"].astype(object).mask(rows["age"] % 7 == 0))


def fitted(make: Callable[[], Any], columns: Sequence[str], outcome: str) -> Callable[[pd.DataFrame], Any]:
    """Fits what `make` returns on these columns."""
    return lambda rows: make().fit(rows[list(columns)], rows[outcome])


def classifier(
    model: str,
    make: Callable[[], Any],
    *,
    columns: Sequence[str] = NUMBERS,
    outcome: str = "outcome",
    **rest: Any,
) -> Case:
    """A case of two classes; `outcome` is `class_` or `number` for three."""
    options = {"outcome": outcome, **rest.pop("options", {})}
    return Case(model, fitted(make, columns, outcome), options=options, **rest)


def several(model: str, make: Callable[[], Any], *, outcome: str = "class_", **rest: Any) -> Case:
    """A case of three classes: texts, or with `outcome` `number` whole numbers."""
    variant = ", ".join(filter(None, (rest.pop("variant", ""), "3 classes")))
    return classifier(model, make, outcome=outcome, variant=variant, **rest)


def regressor(model: str, make: Callable[[], Any], *, outcome: str = "value", **rest: Any) -> Case:
    """A case of a value."""
    variant = ", ".join(filter(None, (rest.pop("variant", ""), "value")))
    return classifier(model, make, outcome=outcome, variant=variant, **rest)
