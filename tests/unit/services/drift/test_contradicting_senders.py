from __future__ import annotations

from prometheus_client import CollectorRegistry

from services.drift.contradicting_senders import MAXIMUM_SENDERS, OTHERS, ContradictingSenders

NAME = "homeostat_drift_contradicting_outcomes_total"


def test_more_senders_than_series_are_counted_together() -> None:
    registry = CollectorRegistry()
    senders = ContradictingSenders(registry)
    senders.add("toy", {f"key-{number}": 100 - number for number in range(MAXIMUM_SENDERS + 5)})
    senders.add("toy", {"key-0": 1, "another": 3})
    assert registry.get_sample_value(NAME, {"model": "toy", "sender": "key-0"}) == 101
    last = MAXIMUM_SENDERS + 4
    assert registry.get_sample_value(NAME, {"model": "toy", "sender": f"key-{last}"}) is None
    others = sum(100 - number for number in range(MAXIMUM_SENDERS, last + 1)) + 3
    assert registry.get_sample_value(NAME, {"model": "toy", "sender": OTHERS}) == others
    [family] = [one for one in registry.collect() if one.samples]
    counted = [sample for sample in family.samples if sample.name == NAME]
    assert len(counted) == MAXIMUM_SENDERS + 1
