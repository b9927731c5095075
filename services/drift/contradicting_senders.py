"""Counts outcomes that contradict others by who sent them, with a bounded number of series."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter

# Keys that may post outcomes of one model are few. More are counted together.
MAXIMUM_SENDERS = 20
OTHERS = "(others)"
UNKNOWN = "(unknown)"


class ContradictingSenders:
    """`homeostat_drift_contradicting_outcomes_total`. No key can be named like OTHERS or UNKNOWN."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counter = Counter(
            "homeostat_drift_contradicting_outcomes_total",
            "Predictions in evaluated windows whose outcomes differ, by the API key that sent one of them.",
            ("model", "sender"),
            registry=registry,
        )
        self._known: dict[str, set[str]] = {}

    def add(self, model: str, by_sender: Mapping[str, int]) -> None:
        """Count predictions by sender; an empty name is a sender that the lake does not know."""
        known = self._known.setdefault(model, set())
        for sender, count in sorted(by_sender.items(), key=lambda one: -one[1]):
            if len(known) < MAXIMUM_SENDERS:
                known.add(sender)
            name = (sender or UNKNOWN) if sender in known else OTHERS
            self._counter.labels(model, name).inc(count)
