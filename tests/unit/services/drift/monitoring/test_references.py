"""References from the model store."""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq
import pytest

from services.drift.monitoring import references as references_module
from services.drift.monitoring.references import StoredReferences
from tests.unit.services.drift.world import World, loop, ordinary


@pytest.mark.parametrize(
    ("prediction", "read"),
    [({"kind": "embedding", "size": 2}, False), ({"kind": "values", "names": ["low", "high"]}, True)],
)
def test_embeddings_of_a_reference_are_not_read(
    world: World, monkeypatch: pytest.MonkeyPatch, prediction: dict[str, Any], read: bool
) -> None:
    """They are not measured, and may have a hundred megabytes."""
    rows = ordinary(300, 1)
    rows |= {"scores": [[0.5, 1.0]] * 300, "outcome": [{"low": 0.0, "high": 1.5}] * 300}
    manifest = world.version(loop(prediction=prediction, metric={"name": "mae"}), rows)
    columns: list[str] = []
    whole = pq.ParquetFile.read

    def recorded(file: Any, **options: Any) -> Any:
        columns.extend(options["columns"])
        return whole(file, **options)

    monkeypatch.setattr(pq.ParquetFile, "read", recorded)
    stored = StoredReferences(world.store, world.home / "references", world.keys.verifying)
    reference = stored.get("toy", manifest.version)
    assert ("scores" in columns) == read
    assert len(reference.rows) == 300
    assert (reference.loss is not None) == read
    if reference.loss is not None:
        assert reference.loss.value == 0.5


def test_reference_that_is_in_use_is_not_fetched_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stream detectors hold more references than are kept: models beyond those must not be downloaded at every poll."""
    monkeypatch.setattr(references_module, "KEPT_IN_MEMORY", 1)
    manifests = [world.version(loop(), ordinary(300, seed), f"note {seed}") for seed in (1, 2)]
    fetched: list[str] = []
    stored = StoredReferences(
        world.store,
        world.home / "references",
        world.keys.verifying,
        lambda _, version: fetched.append(version),
    )
    in_use = [stored.get("toy", manifest.version) for manifest in manifests]
    assert [stored.get("toy", manifest.version) for manifest in manifests] == in_use
    versions = [manifest.version for manifest in manifests]
    assert fetched == versions
    del in_use
    for version in versions:
        stored.get("toy", version)
    assert fetched == [*versions, versions[0], versions[1]]
