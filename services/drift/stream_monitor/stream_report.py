"""What the metrics show of one generation's stream."""

from __future__ import annotations

from services.drift.stream.calibration.budget_shares import tile_rate
from services.drift.stream.statistics.bursts import BURSTS
from services.drift.stream.tiles import Tile
from services.drift.stream_monitor.generation_stream import GenerationStream
from services.drift.stream_monitor.metrics import StreamMetrics
from services.drift.thresholds.alarm_budget import stream_budget


def report(stream: GenerationStream, metrics: StreamMetrics) -> None:
    """Export what changed since the last report."""
    new = stream.take_progress()
    metrics.watched(stream.model)
    metrics.progress(stream.model, new.rows, stream.clock.newest / 1e6)
    if new.late or new.left_out:
        metrics.late(stream.model, new.late - new.left_out, new.left_out)
    if new.tiles and stream.newest_tile is not None:
        budget = stream_budget(stream.profile.layout.reference.loop.drift.false_alarms_per_30_days)
        metrics.tiles(
            stream.model,
            new.tiles * tile_rate(budget, stream.profile.tile),
            _by_signal(stream),
            _faulty_shares(stream.newest_tile),
        )


def _by_signal(stream: GenerationStream) -> dict[str, float]:
    """The highest evidence ratio of features and of predictions."""
    signals = {column.name: column.signal for column in stream.profile.layout.columns}
    highest: dict[str, float] = dict.fromkeys(signals.values(), 0.0)
    for name, ratio in stream.detector.evidence().items():
        highest[signals[name]] = max(highest[signals[name]], ratio)
    return dict(highest)


def _faulty_shares(tile: Tile) -> dict[str, float]:
    """By kind of fault, the share of the column with most such values."""
    return {
        name: float(tile.counts[:, list(cells)].sum(axis=1).max(initial=0)) / tile.rows
        for name, cells in BURSTS
    }
