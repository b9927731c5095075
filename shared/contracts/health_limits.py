"""Limits beyond which a figure counts as a problem; the doctor and the console share them."""

from __future__ import annotations

# Share of the spool's bound: at the bound, answers are no longer logged.
SPOOL_NEARLY_FULL = 0.8
# More than a sink reads in a few rounds: it does not keep up, or has stopped.
MAXIMUM_SINK_LAG = 10_000
# Longest a row may wait on the spool: what the freshness objective allows, in seconds.
MAXIMUM_ROW_AGE_S = 60.0
