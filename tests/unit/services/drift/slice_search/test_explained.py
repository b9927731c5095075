from __future__ import annotations

import numpy as np
import pytest

from services.drift.slice_search import explained
from shared.contracts.manifest import Manifest
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.world import loop, ordinary

HOUR = 360  # rows: one every ten seconds


def release(installation: Installation) -> Manifest:
    manifest = installation.world.version(loop(), ordinary(5000, 1))
    installation.world.release(manifest)
    return manifest


def spoiled(rows: int) -> dict[str, object]:
    """Every outcome of category b is wrong."""
    made = ordinary(rows, 2)
    outcome = np.asarray(made["outcome"])
    return made | {"outcome": np.where(np.asarray(made["c"]) == "b", 1 - outcome, outcome)}


def test_verdict_says_where_its_drift_is(installation: Installation) -> None:
    installation.world.answer(release(installation), 1, spoiled(HOUR * 2))
    [verdict] = installation.judged()
    [found] = verdict.found_slices
    assert (verdict.state, found.signal, found.where) == ("drift", "performance", 'c == "b"')
    assert 'of the rows with c == "b": their loss is' in verdict.explanation
    assert installation.judged("inputs")[0].found_slices == ()


def test_verdict_holds_if_its_slices_are_not_found(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(explained, "find_slice_of_loss", fail)
    installation.world.answer(release(installation), 1, spoiled(HOUR * 2))
    [verdict] = installation.judged()
    assert (verdict.state, verdict.drifted, verdict.found_slices) == ("drift", ("performance",), ())


def test_slices_are_left_out_of_verdicts_without_any(installation: Installation) -> None:
    """Readers from before the key refuse it."""
    installation.world.answer(release(installation), 1, ordinary(HOUR * 2, 2))
    assert "found_slices" not in installation.judged()[0].model_dump(mode="json")
