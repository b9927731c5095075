"""Each window has exactly one cause of each clock, and late outcomes give exactly one revision, wherever drift is killed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.drift.verdicts.store import VerdictStore
from shared.contracts.verdict import Verdict
from tests.unit.services.drift.installation import Installation, MemoryTopic
from tests.unit.services.drift.world import World, loop, minutes, ordinary

HOUR = 360  # rows
# The second generation's first row.
FIRST = HOUR * 4 + 30
# Every write that a verdict is made of, on either clock.
WRITES = ("put", "advance", "revise", "set_outcomes_version", "mark_published")


class _Killed(BaseException):
    """The process dies here."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hours of rows without outcomes, a gap, an hour, and a second generation."""
    folder = tmp_path_factory.mktemp("clocks") / "home"
    world = World(folder)
    manifest = world.version(loop(), ordinary(2000, 1))
    world.release(manifest)
    world.answer(manifest, 1, ordinary(HOUR * 3, 2), delay=None)
    world.answer(manifest, 1, ordinary(HOUR + 30, 3, start=minutes(300)))
    other = world.version(loop(), ordinary(2000, 9), "two")
    world.release(other)
    world.answer(other, 2, ordinary(HOUR * 2, 4, start=minutes(365)))
    return folder


def summary(verdicts: list[Verdict]) -> list[tuple[Any, ...]]:
    return sorted(
        (each.detector, each.generation, each.window_end, each.revision, each.state, each.rows, each.outcomes)
        for each in verdicts
    )


def judge(installation: Installation) -> None:
    """Judge and publish everything, then correct the outcomes of the second generation's first hour, and do it again."""
    installation.settle()
    installation.publisher.publish()
    table = installation.world.lake.open(installation.world.lake.outcomes("toy"))
    assert table is not None
    if table.to_pyarrow_table()["prediction_id"].to_pylist().count(f"p{FIRST}") == 1:
        ids = [f"p{place}" for place in range(FIRST, FIRST + HOUR)]
        installation.world.observe("toy", ids, np.ones(HOUR), [minutes(480)] * HOUR)
    installation.settle()
    installation.publisher.publish()


def installed(home: Path, folder: Path, topic: MemoryTopic) -> Installation:
    if not folder.exists():
        shutil.copytree(home, folder)
    world = World(folder)
    world.answered = 10_000
    return Installation(world, topic=topic)


@pytest.fixture(scope="module")
def expected(home: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    """What a drift that is never killed concludes."""
    topic = MemoryTopic()
    installation = installed(home, tmp_path_factory.mktemp("clocks") / "undisturbed", topic)
    judge(installation)
    found = summary(installation.verdicts.latest(None, 1000))
    installation.verdicts.close()
    assert [row[:3] for row in found if row[3] == 2] == [("performance", 2, minutes(425))]
    assert len({row[:3] for row in found}) == len(found) == 2 * 6
    return found


def killing(write: Callable[..., Any], at: Iterator[int], place: int, after: bool) -> Callable[..., Any]:
    def called(*args: Any, **more: Any) -> Any:
        now = next(at) == place
        if now and not after:
            raise _Killed
        done = write(*args, **more)
        if now:
            raise _Killed
        return done

    return called


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", WRITES)
def test_each_window_has_one_cause_of_each_clock_after_a_kill(
    home: Path, tmp_path: Path, expected: list[tuple[Any, ...]], name: str, after: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for place in (0, 3):
        topic = MemoryTopic()
        folder = tmp_path / f"{name}{place}"
        installation = installed(home, folder, topic)
        with monkeypatch.context() as patch:
            patch.setattr(
                VerdictStore, name, killing(getattr(VerdictStore, name), iter(range(10**6)), place, after)
            )
            try:
                judge(installation)
            except _Killed:
                pass
            else:
                assert (name, place) in (
                    ("revise", 3),
                    ("set_outcomes_version", 0),
                    ("set_outcomes_version", 3),
                )
        installation.verdicts.close()
        installation = installed(home, folder, topic)
        judge(installation)
        assert summary(installation.verdicts.latest(None, 1000)) == expected
        # Published at least once each, and never two different verdicts under one id and revision.
        sent = {(record.verdict_id, record.revision): record for record in topic.records}
        assert all(record == sent[record.verdict_id, record.revision] for record in topic.records)
        assert {each.verdict_id for each in topic.records} == {
            each.verdict_id for each in installation.verdicts.latest(None, 1000)
        }
        for stored in installation.verdicts.latest(None, 1000):
            assert sent[stored.verdict_id, stored.revision] == stored
        installation.verdicts.close()
