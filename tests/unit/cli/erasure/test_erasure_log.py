"""What an interrupted erasure leaves to the next one."""

from __future__ import annotations

from pathlib import Path

from cli.erasure.erasure_log import append, unfinished

WHO = {"models": ["loans"]}
FOUND = {"references": ["loans b"], "trained": ["loans a"]}


def test_models_of_an_interrupted_erasure_stay_until_one_finishes(tmp_path: Path) -> None:
    assert unfinished(tmp_path) == frozenset()
    append(tmp_path, "e1", "started", WHO)
    append(tmp_path, "e1", "found", FOUND)
    assert unfinished(tmp_path) == {"loans"}
    append(tmp_path, "e2", "started", WHO)
    append(tmp_path, "e2", "finished", WHO | FOUND)
    assert unfinished(tmp_path) == frozenset()


def test_erasure_of_another_model_finishes_nothing_of_this_one(tmp_path: Path) -> None:
    append(tmp_path, "e1", "started", WHO)
    append(tmp_path, "e2", "started", {"models": ["trains"]})
    append(tmp_path, "e2", "finished", {"models": ["trains"]} | FOUND)
    assert unfinished(tmp_path) == {"loans"}
