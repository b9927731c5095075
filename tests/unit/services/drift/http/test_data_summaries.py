from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import pytest

from services.drift.http.data_summaries import AGE, DataSummaries, run_summary
from tests.unit.services.drift.world import minutes
from tests.waiting import bound, eventually


@dataclass
class Maker:
    """Makes a summary when it may; remembers of which models."""

    may: Event = field(default_factory=Event)
    made: list[str] = field(default_factory=list)
    now: datetime = field(default_factory=lambda: minutes(0))

    def __call__(self, model: str) -> dict[str, Any]:
        assert self.may.wait(bound(30))
        self.made.append(model)
        return {"summary": {"rows": len(self.made)}}


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def summaries(maker: Maker) -> DataSummaries:
    return DataSummaries(maker, lambda: maker.now)


def made(summaries: DataSummaries, model: str) -> dict[str, Any]:
    def read() -> dict[str, Any] | None:
        found = summaries.read(model)
        return None if found["is_making"] else found

    found = eventually(read, f"a summary of {model}")
    assert found is not None
    return found


def test_summary_is_made_once_and_given_until_it_is_old(summaries: DataSummaries, maker: Maker) -> None:
    first = summaries.read("toy")
    assert (first["is_making"], first["summary"]) == (True, None)
    summaries.read("toy")
    maker.may.set()
    assert made(summaries, "toy")["summary"] == {"rows": 1}
    maker.now += AGE - timedelta(seconds=1)
    assert summaries.read("toy")["is_making"] is False
    maker.may.clear()
    maker.now += timedelta(seconds=1)
    old = summaries.read("toy")
    assert (old["is_making"], old["summary"]) == (True, {"rows": 1})
    maker.may.set()
    assert made(summaries, "toy")["summary"] == {"rows": 2}
    assert maker.made == ["toy", "toy"]


def test_one_summary_is_made_at_a_time(summaries: DataSummaries, maker: Maker) -> None:
    summaries.read("toy")
    assert summaries.read("other")["is_making"]
    maker.may.set()
    made(summaries, "toy")
    assert maker.made == ["toy"]
    made(summaries, "other")
    assert maker.made == ["toy", "other"]


@pytest.mark.parametrize(
    ("program", "seconds", "problem"),
    [
        ("import time; time.sleep(600)", 0.5, "took longer than 0.5 s"),
        ("import os; os.kill(os.getpid(), 9)", 60.0, "ended with exit code -9"),
        ("print('no JSON')", 60.0, "ended with exit code 0"),
    ],
)
def test_process_without_an_answer_is_a_problem(program: str, seconds: float, problem: str) -> None:
    limit = seconds if seconds < 1 else bound(seconds)
    found = run_summary("toy", {}, command=(sys.executable, "-c", program), seconds=limit)
    assert problem in found["problem"]
