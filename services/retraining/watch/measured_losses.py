"""What blocks of paired losses say of one version beside another: a watched release, or a challenger in a phase. Pure."""

from __future__ import annotations

from services.retraining.watch.blocks import Block, judge, mean_losses
from services.retraining.watch.paired_test import ERROR, Evidence
from shared.models.losses import MetricName, in_unit


class MeasuredLosses:
    """Base of records with these fields: the loss's `metric`, the `tolerance` in its unit, and the `blocks` measured so far."""

    metric: MetricName
    tolerance: float
    blocks: tuple[Block, ...]

    @property
    def rows(self) -> int:
        """Number of rows that both versions were scored on."""
        return sum(block.rows for block in self.blocks)

    @property
    def evidence(self) -> Evidence:
        """What the paired test says: whether the version is worse than the other one."""
        return judge(self.blocks, self.tolerance, root=self.metric == "rmse")

    @property
    def losses(self) -> tuple[float, float] | None:
        """The version's loss and the other one's, in the metric, on the same rows; None without rows."""
        if not self.blocks:
            return None
        loss, other = mean_losses(self.blocks)
        return in_unit(self.metric, loss), in_unit(self.metric, other)

    def beside(self, other: str) -> str:
        """What was measured, as text; `other` names the other version. Needs blocks."""
        losses = self.losses
        assert losses is not None
        tolerance = f", tolerance {self.tolerance:g}" if self.tolerance else ""
        return (
            f"{self.metric} {losses[0]:.5f}, of {other} {losses[1]:.5f} on the same {self.rows} rows in {len(self.blocks)} "
            f"blocks{tolerance}; evidence that it is worse {self.evidence.value:.3g}, needed {1 / ERROR:g}"
        )
