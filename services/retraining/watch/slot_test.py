"""A test of two slots on the same stream of requests, valid however often one looks: does one fail more often? Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Of canaries and shadows as good as the live version, at most this share is ended.
ERROR = 0.05
# Odds ratios of the alternatives: small ones find small differences after many requests, large ones find large ones in few.
ODDS = np.array([1.5, 3.0, 10.0, 100.0])


@dataclass(frozen=True)
class Counts:
    """Requests that a slot answered or failed to answer, and how many of them failed, in one interval on one server."""

    requests: int
    failed: int


def log_evidence(side: Counts, live: Counts) -> list[float]:
    """Logarithm of the e-value of one interval, for each of ODDS: how much `side` speaks for its failing more often.

    Null hypothesis: a request of the interval fails no more often in `side` than in `live`. Given the totals of the interval, the
    failures K of `side` have the hypergeometric distribution of Fisher's exact test (Fisher, The logic of inductive inference,
    Journal of the Royal Statistical Society 98 (1935)) if both fail equally often; and if requests are assigned to the slots at
    random, also where failures come in bursts that hit both. For an odds ratio w > 1,

        e(w) = w^K / E[w^K]

    has mean 1 then, and at most 1 if `side` fails less often, as K is then stochastically smaller. It is the likelihood ratio of
    Fisher's noncentral hypergeometric distribution. The product over intervals is a nonnegative supermartingale, whatever the
    rate of failures that both have in an interval: intervals are strata, as in Cochran, Some methods for strengthening the
    common chi-squared tests, Biometrics 10 (1954). By Ville's inequality (Étude critique de la notion de collectif, 1939) it
    reaches 1 / ERROR with a probability of at most ERROR, over all looks; so does a mean of such products.

    >>> [round(math.exp(value), 2) for value in log_evidence(Counts(5, 5), Counts(45, 0))]
    [5.97, 102.57, 6034.37, 482691.32]
    >>> [round(math.exp(value), 2) for value in log_evidence(Counts(5, 0), Counts(45, 1))]
    [0.95, 0.83, 0.53, 0.09]
    >>> log_evidence(Counts(5, 1), Counts(0, 0))
    [0.0, 0.0, 0.0, 0.0]
    """
    failed, total = side.failed + live.failed, side.requests + live.requests
    if not (failed and side.requests and live.requests) or failed >= total:
        return [0.0] * len(ODDS)
    possible = np.arange(max(0, failed - live.requests), min(failed, side.requests) + 1)
    logs = _log_choose(side.requests, possible) + _log_choose(live.requests, failed - possible)
    weighted = logs + np.outer(np.log(ODDS), possible)
    found: Sequence[float] = side.failed * np.log(ODDS) - (_log_sum(weighted) - _log_sum(logs[None, :]))
    return [float(value) for value in found]


def log_mean(log_values: Sequence[float], weights: Sequence[float]) -> float:
    """Logarithm of the weighted mean of e-processes, which is one too; `weights` add up to 1."""
    terms = np.array(log_values) + np.log(np.array(weights))
    return float(_log_sum(terms[None, :])[0])


def _log_choose(whole: int, part: np.ndarray) -> np.ndarray:
    from scipy.special import gammaln  # the import takes a tenth of the service's start

    found: np.ndarray = gammaln(whole + 1) - gammaln(part + 1) - gammaln(whole - part + 1)
    return found


def _log_sum(rows: np.ndarray) -> np.ndarray:
    top = rows.max(axis=1)
    found: np.ndarray = top + np.log(np.exp(rows - top[:, None]).sum(axis=1))
    return found
