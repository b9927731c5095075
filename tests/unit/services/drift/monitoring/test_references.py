"""References from the model store."""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq
import pytest

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
