"""Serial correlation of the scores: slow movements of a column around its mean, which are no drift.

The mean score of a tile is modelled as a slow signal plus the noise of its rows: a first-order autoregression observed with
noise (Granger, Morris 1976), with one decay per kind of score for all columns. Its parameters come from the autocovariances c1
and c2 of the reference's tiles (method of moments): decay = c2/c1, variance of the signal = c1/decay. Autocovariances around an
estimated mean are too small by the variance of that mean, which is added (Kendall 1954). The long-run variance is

    D = noise + signal (1 + decay)/(1 - decay)          per row, relative to independent rows

Where the reference shows no correlation, D is 1. Where the location has a signal, the spread is that around the tile's own mean
(`level_adjustment.py`). Estimates of D vary between columns; they are
pulled towards their mean by an inverse gamma prior whose strength is estimated from that variation, which also gives the degrees
of freedom (Smyth 2004).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.drift.stream.calibration.cycles import Cycles
from services.drift.stream.calibration.level_adjustment import LevelAdjustment, level_adjustment, unadjusted
from services.drift.stream.calibration.reference_series import ReferenceSeries
from services.drift.stream.statistics.cusum import Dependence
from services.drift.stream.statistics.scores import Floats, Scores

MINIMUM_TILES = 16
# Standard errors of a first autocorrelation that count as correlation: of all columns together, and of one.
SIGNIFICANT_MEAN, SIGNIFICANT_ONE = 3.0, 4.5
MINIMUM_DECAY, MAXIMUM_DECAY = 0.05, 0.995


@dataclass(frozen=True, eq=False)
class SerialModel:
    """Of the sum of a tile's scores, divided by the root of its rows: variance of `signal` and `noise`, (columns, 2).

    `decay`: (2,), per tile, of each kind of score; `tile_rows`: mean number of rows of a tile; `level`: of the spread.
    """

    decay: Floats
    signal: Floats
    noise: Floats
    tile_rows: float
    dependence: Dependence
    level: LevelAdjustment

    @property
    def correlated(self) -> bool:
        """Whether the reference shows serial correlation."""
        return bool((self.signal > 0).any())


def serial_model(series: ReferenceSeries, cycles: Cycles, scores: Scores) -> SerialModel:
    """The model of the reference's tiles, without their cycles."""
    columns = series.sums.shape[1]
    noise = np.clip(1 - cycles.variance, 0.05, 1.0)
    free = Dependence(noise.copy(), np.full((columns, 2), np.inf))
    tile_rows = float(series.rows.mean()) if series.rows.size else 1.0
    none = SerialModel(np.zeros(2), np.zeros((columns, 2)), noise, tile_rows, free, unadjusted(columns))
    if series.tiles < MINIMUM_TILES or columns == 0:
        return none
    sums = series.sums - series.rows[..., None] * cycles.mean(series.middle)
    found = _signal(_residual(sums, series.rows)[:, :, 0])
    slow = np.zeros(columns, bool) if found is None else (found[1] > 0) & scores.usable.all(axis=1)
    level = level_adjustment(sums, series.rows, np.where(slow, 1 / scores.square_scale, 0.0))
    residual = _residual(level.adjust(sums, series.rows), series.rows)
    around_tile = level.weight > 0
    if around_tile.any():
        noise[around_tile, 1] = _largest_variance(residual[:, around_tile, 1], residual[:, around_tile, 0])
    decay, signal = np.zeros(2), np.zeros((columns, 2))
    variance, degrees = noise.copy(), np.full((columns, 2), np.inf)
    for kind in range(2):
        found = _signal(residual[:, :, kind])
        if found is None:
            continue
        decay[kind], raw = found
        signal[:, kind] = np.maximum(0.0, raw)
        total = residual[:, :, kind].var(axis=0)
        noise[:, kind] = np.clip(total - signal[:, kind], 0.1, None)
        gain = (1 + decay[kind]) / (1 - decay[kind])
        long_run = noise[:, kind] + signal[:, kind] * gain
        variance[:, kind], degrees[:, kind] = _moderate(
            long_run, decay[kind], series.tiles, residual[:, :, kind]
        )
        scale = variance[:, kind] / long_run
        noise[:, kind] *= scale
        signal[:, kind] *= scale
    if around_tile.any():
        _add_square_signal(residual[:, around_tile, 1], around_tile, decay, signal, noise, variance, degrees)
    dependence = Dependence(variance, degrees)
    return SerialModel(decay, signal, noise, tile_rows, dependence, level)


def _add_square_signal(
    spread: Floats,
    around_tile: npt.NDArray[np.bool_],
    decay: Floats,
    signal: Floats,
    noise: Floats,
    variance: Floats,
    degrees: Floats,
) -> None:
    """The spread within tiles, where it depends on the location's signal: it decays with the square of that signal's decay.

    It is too weak to be seen in one lag, but lasts. Its long-run variance is that of the means of long blocks (batch means:
    Schmeiser 1982), of all columns together.
    """
    square = float(decay[0]) ** 2
    length = int(np.clip(np.ceil(8 / (1 - square)), 4, max(4, spread.shape[0] // 8)))
    blocks = spread.shape[0] // length
    if blocks < 4:
        return
    means = spread[-blocks * length :].reshape(blocks, length, -1).sum(axis=1) / np.sqrt(length)
    freedom = (blocks - 1) * spread.shape[1]
    own, long_run = float(noise[around_tile, 1].mean()), float(means.var(axis=0, ddof=1).mean())
    if long_run < own * (1 + 2 * np.sqrt(2 / freedom)):
        return
    decay[1] = square
    signal[around_tile, 1] = (long_run - own) * (1 - square) / (2 * square)
    noise[around_tile, 1] = np.maximum(0.1, own - signal[around_tile, 1])
    variance[around_tile, 1], degrees[around_tile, 1] = long_run, freedom


def _largest_variance(spread: Floats, location: Floats) -> Floats:
    """Variance of the spread of each column where it is largest: rows near the outermost bins vary less than others.

    Tiles are put into fifths by their location. By how much the variance of one of them is larger is averaged over all columns.
    """
    order = np.argsort(location, axis=0, kind="stable")
    fifths = np.array_split(np.take_along_axis(spread, order, axis=0), 5)
    overall = spread.var(axis=0)
    ratios = [float((fifth.var(axis=0) / np.maximum(overall, 1e-12)).mean()) for fifth in fifths]
    result: Floats = overall * max(ratios)
    return result


def _residual(sums: Floats, rows: Floats) -> Floats:
    """Sums less their overall mean, divided by the root of their rows: (tiles, columns, 2)."""
    many = rows[..., None]
    centred = sums - many * (sums.sum(axis=0) / np.maximum(1.0, many.sum(axis=0)))
    result: Floats = centred / np.sqrt(np.maximum(1.0, many))
    return result


def _signal(series: Floats) -> tuple[float, Floats] | None:
    """Decay of all columns and variance of each column's signal, of (tiles, columns); None without serial correlation."""
    tiles = series.shape[0]
    covariance = [_autocovariance(series, lag) for lag in range(3)]
    usable = covariance[0] > 0
    if not usable.any():
        return None
    # A white series has a first autocorrelation of -1/tiles with a standard error of 1/sqrt(tiles) (Kendall 1954).
    each = (covariance[1][usable] / covariance[0][usable] + 1 / tiles) * np.sqrt(tiles)
    correlation = np.corrcoef(series[:, usable].T) if usable.sum() > 1 else np.ones((1, 1))
    independent = usable.sum() ** 2 / (np.atleast_2d(correlation) ** 2).sum()
    if each.mean() * np.sqrt(independent) < SIGNIFICANT_MEAN and each.max() < SIGNIFICANT_ONE:
        return None
    weight = 1 / np.maximum(covariance[0], 1e-12) * usable
    bias = np.zeros(series.shape[1])
    decay, signal = 0.0, np.zeros(series.shape[1])
    for _ in range(20):
        first, second = covariance[1] + bias, covariance[2] + bias
        # Columns without correlation add only noise to both sums; columns with more of it count more.
        share = np.maximum(0.0, first) * weight**2
        decay = float(np.clip(float(second @ share) / max(1e-12, float(first @ share)), 0.0, MAXIMUM_DECAY))
        scale: float = max(decay, MINIMUM_DECAY)
        signal = np.maximum(0.0, first) / scale
        bias = (covariance[0] - signal + signal * (1 + decay) / (1 - decay)) / tiles
        bias = np.clip(bias, 0.0, covariance[0])
    return decay, signal


def _autocovariance(series: Floats, lag: int) -> Floats:
    count = series.shape[0]
    result: Floats = (series[: count - lag] * series[lag:]).sum(axis=0) / count
    return result


def _moderate(long_run: Floats, decay: float, tiles: int, series: Floats) -> tuple[Floats, Floats]:
    """Long-run variances pulled towards their common value, and degrees of freedom."""
    # Variance of the logarithm of a variance estimated from an autoregression: 2 (1 + d²)/(1 - d²)/tiles (Bartlett 1946).
    own = max(1.0, tiles * (1 - decay**2) / (1 + decay**2))
    logs = np.log(np.maximum(long_run, 1e-3))
    excess = max(0.0, float(logs.var(ddof=1)) - 2 / own) if logs.size > 1 else np.inf
    prior = np.inf if excess == 0 else 2 / excess
    correlation = np.atleast_2d(np.corrcoef(series.T)) if logs.size > 1 else np.ones((1, 1))
    independent = logs.size**2 / (np.nan_to_num(correlation) ** 2).sum()
    # The decay is common to all columns, so its error does not average out: d ln D/d decay = 2/(1 - decay²).
    common = 4 / (1 - decay**2) / (tiles * independent) + 2 / (own * independent)
    pull = 1.0 if np.isinf(prior) else prior / (prior + own)
    pulled = np.exp(pull * logs.mean() + (1 - pull) * logs)
    spread = common + (1 - pull) ** 2 * 2 / own
    return pulled, np.full(logs.size, max(4.0, 2 / spread))
