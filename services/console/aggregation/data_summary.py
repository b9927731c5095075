"""Drift's summary of what a model has logged."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Finding(BaseModel):
    """One thing about the data to look at."""

    model_config = ConfigDict(frozen=True)

    kind: str
    severity: Literal["error", "warning", "note"]
    column: str
    message: str
    hint: str = ""


class Column(BaseModel):
    """One column; numbers that there are none of are None."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: str
    rows: int
    missing: int
    distinct: int
    minimum: float | None = None
    median: float | None = None
    maximum: float | None = None
    frequent: tuple[tuple[str, float], ...] = ()


class Summary(BaseModel):
    """Of the rows with event time from `first` to `last`; `is_part`: older rows of the same days are left out."""

    model_config = ConfigDict(frozen=True)

    rows: int
    columns: tuple[Column, ...]
    findings: tuple[Finding, ...]
    first: datetime
    last: datetime
    is_part: bool


class DataSummary(BaseModel):
    """What drift says about a model: the last summary, why there is none, and whether a new one is being made."""

    model_config = ConfigDict(frozen=True)

    model: str
    is_making: bool
    made_at: datetime | None = None
    problem: str = ""
    summary: Summary | None = None
