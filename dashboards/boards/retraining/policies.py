"""Policies beside the armed one: runs that each would have started, and what each has cost."""

from __future__ import annotations

from dashboards.parts.panel import About, SdkPanel, time_series
from dashboards.parts.query import MODEL, Query

_EMPTY = "No model has `shadow_policies` in its loop.yaml, or not all of them have decided yet. That is fine."


def regret() -> SdkPanel:
    """Regret of each policy."""
    about = About(
        title="Regret of policies",
        unit="none",
        shows=(
            "Cost of the armed policy and of each shadow policy minus that of the cheapest, in the unit of `costs`: trainings, "
            "and losses where two versions were scored on the same rows."
        ),
        normal="`armed` at or near 0.",
        hint="another policy at 0 for weeks: back-test it with `homeostat backtest`, then `homeostat arm`.",
        empty=_EMPTY,
    )
    return time_series(
        about,
        Query(
            f"max by (model, policy) (homeostat_retraining_policy_regret{{{MODEL}}})", "{{model}} {{policy}}"
        ),
    )


def runs() -> SdkPanel:
    """Runs of each policy."""
    about = About(
        title="Runs of policies",
        unit="short",
        shows="Runs of the armed policy, and those that each shadow policy would have started, since all of them decide.",
        normal="what `costs.training` and your budget allow.",
        hint="far more than `armed`: see the reasons with `homeostat whatif MODEL --policy FILE`.",
        empty=_EMPTY,
    )
    return time_series(
        about,
        Query(
            f"max by (model, policy) (homeostat_retraining_policy_runs{{{MODEL}}})", "{{model}} {{policy}}"
        ),
    )
