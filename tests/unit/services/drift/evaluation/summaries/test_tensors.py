from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from services.drift.evaluation.columns import columns_of, rows_from_table
from services.drift.evaluation.reference_profile import build_reference
from services.drift.evaluation.summaries import tensors
from services.drift.evaluation.summaries.tensors import PROJECTIONS, summarise
from services.drift.stream.layout import TileLayout
from shared.contracts.feature import Feature
from tests.unit.services.drift.world import loop, minutes


def feature(content: str | None, *shape: int) -> Feature:
    return Feature.model_validate({"name": "t", "type": "tensor", "shape": shape, "content": content})


EMBEDDING = feature("embedding", 64)
IMAGE = feature("image", 3, 8, 8)


def lists(matrix: np.ndarray) -> pa.Array:
    return pa.array(matrix.reshape(len(matrix), -1).astype(np.float32).tolist(), pa.list_(pa.float32()))


def test_embedding_has_mean_norm_and_projections() -> None:
    random = np.random.default_rng(1)
    matrix = random.normal(size=(500, 64)).astype(np.float32).astype(float)
    assert summarise(lists(matrix), EMBEDDING, "mean") == pytest.approx(matrix.mean(axis=1))
    assert summarise(lists(matrix), EMBEDDING, "norm") == pytest.approx(np.linalg.norm(matrix, axis=1))
    projected = np.array([summarise(lists(matrix), EMBEDDING, one) for one in PROJECTIONS])
    assert projected.std(axis=1) == pytest.approx(np.ones(8), abs=0.1)
    assert np.abs(np.corrcoef(projected) - np.eye(8)).max() < 0.4
    # A version's reference is compared with rows that another process projected.
    assert (tensors._directions(64)[:3] * 8).tolist() == [
        [1, 1, -1, -1, 1, 1, 1, 1],
        [-1, 1, 1, -1, -1, -1, 1, -1],
        [-1, -1, -1, 1, 1, -1, -1, -1],
    ]


def test_image_has_brightness_contrast_and_sharpness() -> None:
    random = np.random.default_rng(2)
    images = random.random((20, 3, 8, 8))
    flat = np.ones((1, 3, 8, 8))
    found = {
        one: summarise(lists(np.concatenate([images, images + 1, flat])), IMAGE, one)
        for one in tensors.SUMMARIES["image"]
    }
    assert found["brightness"][20:40] == pytest.approx(found["brightness"][:20] + 1)
    assert found["contrast"][20:40] == pytest.approx(found["contrast"][:20])
    assert found["sharpness"][20:40] == pytest.approx(found["sharpness"][:20])
    assert (found["brightness"][40], found["contrast"][40], found["sharpness"][40]) == (1.0, 0.0, 0.0)
    blurred = (images + np.roll(images, 1, axis=2) + np.roll(images, 1, axis=3)) / 3
    assert (summarise(lists(blurred), IMAGE, "sharpness") < 0.7 * found["sharpness"][:20]).all()


def test_channels_may_be_the_last_axis() -> None:
    images = np.random.default_rng(3).random((5, 3, 8, 8))
    last = feature("image", 8, 8, 3)
    moved = np.moveaxis(images, 1, 3)
    assert summarise(lists(moved), last, "sharpness") == pytest.approx(
        summarise(lists(images), IMAGE, "sharpness")
    )


def test_missing_and_odd_rows_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "BLOCK", 3 * 192)
    image = np.full(192, 2.0).tolist()
    rows: list[list[float] | None] = [image, None, image[:5], [float("nan"), *image[1:]], image]
    for values in (
        pa.array(rows, pa.list_(pa.float32())),
        pa.chunked_array([pa.array(rows[:1]), pa.array(rows[1:], pa.list_(pa.float64()))]),
    ):
        found = summarise(values, IMAGE, "brightness")
        assert np.isnan(found).tolist() == [False, True, True, True, False]
        assert found[[0, 4]].tolist() == [2.0, 2.0]
    assert np.isnan(summarise(pa.nulls(3), IMAGE, "sharpness")).all()


def test_nested_lists_are_one_tensor() -> None:
    nested = pa.array([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])
    assert summarise(nested, feature(None, 2, 2), "mean").tolist() == [2.5, 6.5]


@pytest.mark.parametrize(
    ("content", "shape"), [("image", (64,)), ("image", (3, 64, 2)), ("image", (3, 3, 3, 3))]
)
def test_shapes_that_are_no_image_are_refused(content: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="two axes"):
        feature(content, *shape)


def test_only_a_tensor_has_content() -> None:
    with pytest.raises(ValueError, match="only a tensor"):
        Feature.model_validate({"name": "x", "type": "number", "content": "image"})


def test_content_is_left_out_of_manifests_without_it() -> None:
    assert "content" not in feature(None, 2).model_dump(mode="json")


def test_windows_and_stream_detectors_watch_the_same_numbers() -> None:
    spec = loop(
        features=[{"name": "t", "type": "tensor", "shape": [8], "content": "embedding"}],
        prediction={"kind": "value"},
        metric={"name": "mae"},
    )
    matrix = np.random.default_rng(4).normal(size=(400, 8))
    table = pa.table(
        {
            "event_time": [minutes(place) for place in range(400)],
            "t": lists(matrix),
            "score": np.zeros(400),
            "outcome": np.zeros(400),
        }
    )
    names = ["t.mean", "t.norm", *(f"t.{one}" for one in PROJECTIONS)]
    assert [column.name for column in columns_of(spec)] == names
    reference = build_reference("0" * 64, spec, rows_from_table(table, spec))
    layout = TileLayout.of(reference)
    assert [column.name for column in layout.columns] == [*names, "score"]
    moved = table.set_column(1, "t", lists(matrix + 2))
    counts = layout.count(rows_from_table(moved, spec)).counts
    before = layout.count(reference.rows).counts
    # A shift of all numbers hardly moves a projection whose signs are balanced.
    assert (np.abs(counts[:10] - before[:10]).sum(axis=1) > 100).sum() >= 6
