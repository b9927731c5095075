"""How many contradicted outcomes chance allows. Apart from the others, because the sink and inference have no scipy. Pure."""

from __future__ import annotations


def contradiction_limit(outcomes: int, tolerated: float, alpha: float) -> float:
    """The share of contradicted outcomes that chance exceeds with probability `alpha` at most, if `tolerated` is the true share.

    The upper `alpha` quantile of the binomial distribution; 1 for no outcomes.

    >>> contradiction_limit(1_000, 0.05, 1e-4)  # 50, and 27 that chance adds
    0.077
    """
    # Its import takes most of a second, and retraining asks only about runs with contradicted rows.
    from scipy.stats import binom

    return float(binom.isf(alpha, outcomes, tolerated)) / outcomes if outcomes else 1.0
