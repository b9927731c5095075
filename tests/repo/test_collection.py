"""Where no worker has collected yet, one compiles the libraries for all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from tests.collection import collected_before, wait_for_turn
from tests.waiting import bound


def test_others_wait_for_the_first_and_then_collect_side_by_side(tmp_path: Path) -> None:
    first = wait_for_turn(tmp_path)
    assert first is not None
    with ThreadPoolExecutor(2) as others:
        waiting = [others.submit(wait_for_turn, tmp_path) for _ in range(2)]
        assert not wait(waiting, timeout=0.2).done
        collected_before(tmp_path).touch()
        first.close()
        assert [one.result(bound(10)) for one in waiting] == [None, None]
    assert wait_for_turn(tmp_path) is None


def test_after_a_first_that_failed_the_next_one_is_alone(tmp_path: Path) -> None:
    failed = wait_for_turn(tmp_path)
    assert failed is not None
    failed.close()
    after = wait_for_turn(tmp_path)
    assert after is not None
    after.close()


def test_an_environment_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    assert wait_for_turn(tmp_path / "missing") is None
