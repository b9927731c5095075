"""The result of a back-test as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from backtest.result import BacktestResult


def result_view(result: BacktestResult) -> Group:
    """Policies by cost, the cheapest first, below the first version that is never retrained."""
    table = Table(box=None, pad_edge=False)
    table.add_column("policy")
    for name in (result.metric, "trainings", "promotions", "cost", "regret"):
        table.add_column(name, justify="right")
    table.add_row(
        "first version, never retrained", f"{result.frozen_loss:.4f}", "0", "0", "", "", style="dim"
    )
    for one in sorted(result.policies, key=lambda one: one.cost):
        table.add_row(
            Text(one.policy.name),
            f"{one.loss:.4f}",
            str(one.trainings),
            str(one.promotions),
            f"{one.cost:.6g}",
            f"{one.regret:.4g}",
        )
    best = result.policies[0]
    lines = [
        f"{result.rows} rows with outcomes from {result.start:%Y-%m-%d %H:%M} to {result.end:%Y-%m-%d %H:%M}; "
        f"first version trained on {result.first_version_rows} rows; {result.trained} trainings, {result.reused} reused",
        f"Best schedule of {result.candidates} models in hindsight, with the costs of {best.policy.name}: cost "
        f"{best.best_cost:.6g}, {len(best.best_trainings)} trainings",
    ]
    return Group(table, Text("\n".join(["", *lines])))
