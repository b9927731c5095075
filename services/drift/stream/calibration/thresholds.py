"""Calibrates the thresholds of the stream detectors: streams without drift are simulated and run through the detectors' own code.

A CUSUM of a log-likelihood ratio crosses h about K exp(-h) times a tile (Siegmund 1985, chapter II; the tail of its excursions is
exponential with rate 1 because the expected likelihood ratio is 1), and K < 1 (Lorden 1971). Tuned for the same column, or for
correlated columns, several cross together. So m statistics count as m K. K is measured at a low threshold, which is crossed
often enough for a few seconds of simulation, and holds at the high one, which would need years of tiles.

A simulated stream is a version's life: its reference has an error of its own, drawn once per stream, and its tiles are
- independent rows: sums of rows drawn from the reference (bootstrap: Efron 1979), skewed and discrete as they are;
- serially correlated rows: the same with the slow signal of `serial.py`, correlated between columns as the reference's tiles;
- categories: multinomial, with shares drawn from their posterior given the reference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from services.drift.stream.calibration.reference_series import ReferenceSeries
from services.drift.stream.calibration.serial import SerialModel
from services.drift.stream.statistics.category_cusum import DISTANCES, CategoryCusums
from services.drift.stream.statistics.cusum import SIDES, TUNINGS, Cusums
from services.drift.stream.statistics.scores import Floats
from services.drift.stream.statistics.sum_statistic import SumCusum
from services.drift.stream.tiles import CELLS, MEASURED_CELLS, VALUE_CELLS

SEED = 20_240_229
STREAMS = 48
TILES = 800
WARM_UP = 150
# A threshold low enough to be crossed often; found by simulation to have the K of thresholds up to 12.
LEVEL = 3.0
POOL = 4_096
# A kind that crossed less often than this would be known too badly.
MINIMUM_CROSSINGS = 8.0
CATEGORY_STREAMS, CATEGORY_TILES, CATEGORY_COLUMNS = 24, 300, 6
# Aims at fewer alarms than stated: a few hundred crossings are counted with an error of 5 to 10 %, and K is up to a third larger
# at thresholds of 10 than at 3.
SAFETY = 1.4
# On top of that, of a slow signal whose decay per tile is above LONG_MEMORY: the simulated one is the estimated one, and the
# error of its duration grows with its decay.
SERIAL_SAFETY, LONG_MEMORY = 1.2, 0.8


@dataclass(frozen=True)
class EffectiveStatistics:
    """m K of each kind: crossings of h per tile are this times exp(-h)."""

    feature: float
    prediction: float
    many_columns: float


@dataclass(frozen=True, eq=False)
class Surrogate:
    """Draws tiles without drift for `streams` streams: sums of scores (streams, columns, 2)."""

    cusums: Cusums
    serial: SerialModel
    pool: Floats
    factor: Floats
    signal_factor: Floats
    streams: int
    random: np.random.Generator

    @property
    def location_correlation(self) -> Floats:
        """Correlation of the columns' location scores, (columns, columns)."""
        rows = self.factor.reshape(-1, 2, self.factor.shape[1])[:, 0]
        result: Floats = rows @ rows.T
        return result

    def errors(self) -> Floats:
        """The error of each stream's reference: (streams, columns, 2), per row.

        Few streams stand for all references, so each component takes every quantile once (Latin hypercube: McKay and others,
        1979).
        """
        shape = (self.streams, self.pool.shape[1], 2)
        order = np.tile(np.arange(self.streams)[:, None], (1, self.factor.shape[0]))
        quantiles = ndtri((self.random.permuted(order, axis=0) + 0.5) / self.streams)
        normal = quantiles / quantiles.std(axis=0) @ self.factor.T
        scale = np.sqrt(self.cusums.dependence.variance / np.maximum(1.0, self.cusums.rows)[:, None])
        result: Floats = normal.reshape(shape) * scale
        return result

    def tile(self, signal: Floats) -> tuple[Floats, Floats]:
        """Sums of a tile, and the signal of the next, which starts with zeros."""
        drawn = self.pool[self.random.integers(0, self.pool.shape[0], self.streams)]
        sums = drawn * np.sqrt(self.serial.noise)
        if not self.serial.correlated:
            return sums, signal
        decay = self.serial.decay
        pushed = self.random.normal(size=(self.streams, self.factor.shape[0])) @ self.signal_factor.T
        signal = decay * signal + np.sqrt(1 - decay**2) * pushed.reshape(sums.shape)
        return sums + np.sqrt(self.serial.signal * self.serial.tile_rows) * signal, signal


def surrogate(
    series: ReferenceSeries, cusums: Cusums, serial: SerialModel, streams: int = STREAMS, seed: int = SEED
) -> Surrogate:
    """Of the reference's rows: the correlation of its scores, and sums of as many of them as a tile has."""
    random = np.random.default_rng(seed)
    scores, size = cusums.scores, series.cells.shape[1]
    values = np.zeros((scores.columns.size, 2, CELLS))
    values[..., :MEASURED_CELLS] = scores.values
    rows = max(1, round(serial.tile_rows))
    drawn = random.integers(0, size, (POOL, rows))
    pool = np.zeros((POOL, scores.columns.size, 2))
    sample = np.arange(size) if size <= 20_000 else np.linspace(0, size - 1, 20_000).astype(np.int64)
    each = np.zeros((sample.size, scores.columns.size, 2))
    for place, column in enumerate(scores.columns):
        cells = series.cells[column]
        for kind in range(2):
            value = values[place, kind][cells]
            pool[:, place, kind] = value[drawn].sum(axis=1)
            each[:, place, kind] = value[sample]
    factor = _factor(each.reshape(sample.size, -1))
    pool = serial.level.adjust(pool, np.full(pool.shape[:2], float(rows)))
    pool -= pool.mean(axis=0)
    # A signal's columns are correlated as the tiles' sums are.
    sums = (series.sums / np.sqrt(np.maximum(1.0, series.rows))[..., None]).reshape(series.tiles, -1)
    signal_factor = _factor(sums) if serial.correlated else factor
    return Surrogate(cusums, serial, pool, factor, signal_factor, streams, random)


def effective_statistics(
    surrogate: Surrogate, many: SumCusum, is_feature: npt.NDArray[np.bool_]
) -> EffectiveStatistics:
    """m K of numeric features, numeric predictions (`is_feature`: (columns,)) and of all columns together."""
    cusums, columns = surrogate.cusums, is_feature.size
    per_column = cusums.scores.usable.sum(axis=1) * TUNINGS.size * SIDES.size
    counts = {True: int(per_column[is_feature].sum()), False: int(per_column[~is_feature].sum())}
    numeric, together = cusums.begin((surrogate.streams,)), many.begin((surrogate.streams,))
    errors, signal = surrogate.errors(), np.zeros((surrogate.streams, columns, 2))
    rows = np.full((surrogate.streams, columns), surrogate.serial.tile_rows)
    crossings = {"feature": 0, "prediction": 0, "many": 0}
    warm_up = int(WARM_UP * min(8.0, float(cusums.dependence.variance.max(initial=1.0))))
    for tile in range(TILES + warm_up):
        sums, signal = surrogate.tile(signal)
        sums = sums + rows[..., None] * errors
        evidence = cusums.step(numeric, sums, rows, tile)
        above_many = many.step(together, sums[:, :, 0], rows[:, 0], tile) >= LEVEL
        together.sums[above_many] = 0.0
        together.rows[above_many] = 0.0
        counted = tile >= warm_up
        crossings["many"] += int(above_many.sum()) * counted
        for name, own in (("feature", is_feature), ("prediction", ~is_feature)):
            count = counts[name == "feature"]
            if not count:
                continue
            above = evidence[:, own].max(axis=(1, 2, 3, 4)) >= LEVEL + np.log(count)
            crossings[name] += int(above.sum()) * counted
            if above.any():
                cusums.reset(numeric, above[:, None] & own)
    scale = np.exp(LEVEL) / (surrogate.streams * TILES)
    safety = SAFETY * (SERIAL_SAFETY if surrogate.serial.decay[0] > LONG_MEMORY else 1.0)

    def effective(count: int, crossed: int) -> float:
        return count * min(1.0, float(safety * max(MINIMUM_CROSSINGS, crossed) * scale))

    return EffectiveStatistics(
        effective(counts[True], crossings["feature"]),
        effective(counts[False], crossings["prediction"]),
        effective(int(columns > 1), crossings["many"]),
    )


def effective_categories(categories: CategoryCusums, tile_rows: float, seed: int = SEED) -> Floats:
    """m K of each column of categories, (columns,); of more than six columns the mean of six is taken for all."""
    total = categories.columns.size
    if total == 0:
        return np.zeros(0)
    chosen = np.unique(np.linspace(0, total - 1, min(total, CATEGORY_COLUMNS)).astype(np.int64))
    some = CategoryCusums(
        np.arange(chosen.size),
        categories.shares[chosen],
        categories.rows[chosen],
        categories.variance[chosen],
    )
    random = np.random.default_rng(seed)
    # Correlated rows come in clusters as large as the long-run variance.
    cluster = np.maximum(1, np.round(some.variance)).astype(np.int64)
    drawn = np.maximum(1, np.round(tile_rows / cluster)).astype(np.int64)
    truth = np.zeros((CATEGORY_STREAMS, chosen.size, VALUE_CELLS))
    for column in range(chosen.size):
        used = some.shares[column] > 0
        strength = some.rows[column] / cluster[column] * some.shares[column][used]
        truth[:, column, used] = random.dirichlet(strength, CATEGORY_STREAMS)
    state, crossed = some.begin((CATEGORY_STREAMS,)), np.zeros(chosen.size)
    counts = np.zeros((CATEGORY_STREAMS, chosen.size, CELLS), np.int32)
    limit = LEVEL + np.log(DISTANCES.size)
    for tile in range(CATEGORY_TILES):
        counts[..., :VALUE_CELLS] = random.multinomial(drawn, truth) * cluster[:, None]
        above = some.step(state, counts, tile).max(axis=-1) >= limit
        crossed += above.sum(axis=0)
        some.reset(state, above)
    share = np.exp(LEVEL) / (CATEGORY_STREAMS * CATEGORY_TILES)
    each = DISTANCES.size * np.minimum(1.0, SAFETY * np.maximum(1.0, crossed) * share)
    result = np.full(total, each.mean())
    if total == chosen.size:
        result = each
    return result


def _factor(samples: Floats) -> Floats:
    """F with F Fᵀ the correlation matrix of the columns of `samples`."""
    if samples.shape[1] == 0:
        return np.zeros((0, 0))
    spread = samples.std(axis=0)
    centred = (samples - samples.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    values, vectors = np.linalg.eigh(centred.T @ centred / samples.shape[0])
    result: Floats = vectors * np.sqrt(np.maximum(values, 0.0))
    return result
