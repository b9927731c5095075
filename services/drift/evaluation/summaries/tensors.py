"""Tensors as numbers, one of each kind per row: what drift detectors watch of an embedding, an image, or any other tensor. Pure.

- any tensor: mean and standard deviation of its numbers
- embedding: mean, Euclidean norm, and eight projections onto fixed random directions, which keep distances between rows
  approximately (Johnson, Lindenstrauss 1984) and need no multiplications but signs (Achlioptas 2003)
- image: brightness (mean) and contrast (standard deviation) of its numbers, and sharpness, the standard deviation of the
  Laplacian of the mean over its channels (Pech-Pacheco and others 2000)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import shake_256
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shared.contracts.feature import Feature

Floats = npt.NDArray[np.float64]
TensorSummary = Literal[
    "mean",
    "std",
    "norm",
    "projection1",
    "projection2",
    "projection3",
    "projection4",
    "projection5",
    "projection6",
    "projection7",
    "projection8",
    "brightness",
    "contrast",
    "sharpness",
]
PROJECTIONS: tuple[TensorSummary, ...] = (
    "projection1",
    "projection2",
    "projection3",
    "projection4",
    "projection5",
    "projection6",
    "projection7",
    "projection8",
)
SUMMARIES: Mapping[str, tuple[TensorSummary, ...]] = {
    "": ("mean", "std"),
    "embedding": ("mean", "norm", *PROJECTIONS),
    "image": ("brightness", "contrast", "sharpness"),
}
# Numbers that are read at once.
BLOCK = 1 << 20


def summaries_of(feature: Feature) -> tuple[TensorSummary, ...]:
    """What is measured of a tensor."""
    return SUMMARIES[feature.content or ""]


def summarise(values: pa.ChunkedArray | pa.Array, feature: Feature, summary: TensorSummary) -> Floats:
    """One number per row; NaN where the row is missing, is of another shape, or has a number that is not finite."""
    size = math.prod(feature.shape)
    found = np.full(len(values), np.nan)
    for first, block in _blocks(values, max(1, BLOCK // size)):
        present = np.asarray(block.is_valid().to_numpy(zero_copy_only=False))
        with np.errstate(invalid="ignore", over="ignore"):
            found[first : first + len(block)][present] = _measure(
                _matrix(block.drop_null(), size), feature, summary
            )
    found[~np.isfinite(found)] = np.nan
    return found


def _blocks(values: pa.ChunkedArray | pa.Array, rows: int) -> Iterator[tuple[int, pa.Array]]:
    first = 0
    for chunk in values.chunks if isinstance(values, pa.ChunkedArray) else (values,):
        for start in range(0, len(chunk), rows):
            block = chunk.slice(start, rows)
            yield first, block
            first += len(block)


def _matrix(rows: pa.Array, size: int) -> Floats:
    """(rows, size); a row of another size is NaN."""
    flat = rows
    while pa.types.is_nested(flat.type):
        flat = flat.flatten()
    if not pa.types.is_null(flat.type) and len(flat) == len(rows) * size and not flat.null_count:
        return np.asarray(flat.to_numpy(zero_copy_only=False), np.float64).reshape(len(rows), size)
    matrix = np.full((len(rows), size), np.nan)
    for place, value in enumerate(rows.to_pylist()):
        numbers = np.asarray(value, np.float64).ravel()
        if numbers.size == size:
            matrix[place] = numbers
    return matrix


def _measure(matrix: Floats, feature: Feature, summary: TensorSummary) -> Floats:
    result: Floats
    if summary in ("mean", "brightness"):
        result = matrix.mean(axis=1)
    elif summary in ("std", "contrast"):
        result = matrix.std(axis=1)
    elif summary == "norm":
        result = np.sqrt((matrix**2).sum(axis=1))
    elif summary == "sharpness":
        result = _laplacian(_grey(matrix, feature)).std(axis=(1, 2))
    else:
        result = matrix @ _directions(matrix.shape[1])[:, PROJECTIONS.index(summary)]
    return result


@lru_cache(maxsize=8)
def _directions(size: int) -> Floats:
    """Signs, (size, 8), divided by the root of the size; the same in every process and release."""
    bits = np.unpackbits(np.frombuffer(shake_256(b"homeostat projections").digest(size), np.uint8))
    result: Floats = (bits.reshape(size, 8).astype(np.float64) * 2 - 1) / math.sqrt(size)
    return result


def _grey(matrix: Floats, feature: Feature) -> Floats:
    """Mean over the channels, (rows, height, width)."""
    images = matrix.reshape(matrix.shape[0], *feature.shape)
    if len(feature.shape) == 2:
        return images
    grey: Floats = images.mean(axis=3 if feature.has_last_channels else 1)
    return grey


def _laplacian(images: Floats) -> Floats:
    inner = images[:, 1:-1, 1:-1]
    return images[:, :-2, 1:-1] + images[:, 2:, 1:-1] + images[:, 1:-1, :-2] + images[:, 1:-1, 2:] - 4 * inner
