"""Locks on shards, held by two owners in one process: they belong to descriptors, so that the kernel tells them apart."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Event, Thread

import pytest

from services.drift.sharing.ownership import OwnsAll, SharedModels
from services.drift.sharing.shards import SHARDS, shard_of

MODEL = "flights"
SHARD = shard_of(MODEL)
ALL = frozenset(range(SHARDS))
NONE: frozenset[int] = frozenset()


@pytest.fixture
def first(tmp_path: Path) -> SharedModels:
    models = SharedModels(tmp_path / "shards", streams=True)
    models.follow(ALL, 0.0)
    return models


@pytest.fixture
def second(tmp_path: Path) -> SharedModels:
    return SharedModels(tmp_path / "shards", streams=True)


def test_only_process_owns_every_model() -> None:
    assert OwnsAll().owns(MODEL)
    with OwnsAll().using(MODEL) as owned:
        assert owned


def test_shard_has_one_owner_however_many_want_it(first: SharedModels, second: SharedModels) -> None:
    assert first.owns(MODEL)
    second.follow(ALL, 0.0)
    assert second.shards() == NONE
    with second.using(MODEL) as owned:
        assert not owned
    first.follow(ALL - {SHARD}, 0.0)
    assert not first.owns(MODEL)
    second.follow(ALL, 0.0)
    assert second.shards() == {SHARD}


def test_shard_waits_for_work_that_is_under_way(first: SharedModels, second: SharedModels) -> None:
    with first.using(MODEL) as owned:
        assert owned
        first.follow(NONE, 0.0)
        with first.using(MODEL) as again:
            assert not again, "no new work begins"
        second.follow(ALL, 0.0)
        assert not second.owns(MODEL)
        assert second.shards() == ALL - {SHARD}, "the others are free"
    first.follow(NONE, 0.0)
    second.follow(ALL, 0.0)
    assert second.owns(MODEL)


def test_shard_waits_for_stream_detection_to_store_its_state(
    first: SharedModels, second: SharedModels
) -> None:
    first.streamed(ALL)
    first.follow(NONE, 0.0)
    assert first.shards() == NONE, "stream detection is to give them up"
    second.follow(ALL, 0.0)
    assert second.shards() == NONE
    stored = Event()

    def store() -> None:
        stored.wait(10)
        first.streamed(NONE)

    thread = Thread(target=store)
    thread.start()
    stored.set()
    first.follow(NONE, 10.0)
    thread.join()
    second.follow(ALL, 0.0)
    assert second.shards() == ALL


def test_shards_of_a_process_that_died_are_taken(tmp_path: Path, second: SharedModels) -> None:
    died = os.fork()
    if died == 0:
        SharedModels(tmp_path / "shards", streams=True).follow(ALL, 0.0)
        os._exit(0)
    os.waitpid(died, 0)
    second.follow(ALL, 0.0)
    assert second.shards() == ALL


def test_shard_that_is_wanted_again_while_it_leaves_is_kept_until_it_is_free(first: SharedModels) -> None:
    with first.using(MODEL):
        first.follow(NONE, 0.0)
        first.follow(ALL, 0.0)
        assert not first.owns(MODEL), "what is given up is given up completely first"
    first.follow(ALL, 0.0)
    assert first.owns(MODEL)
