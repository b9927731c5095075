"""Size and memory: reported, and bounded where a bound is declared."""

from __future__ import annotations

from services.retraining.gate_checks.resources import Resources, check_resources

MIB = 1 << 20


def test_resources_without_bounds_are_reported_only() -> None:
    size, memory = check_resources(
        Resources(3 * MIB, 9 * MIB), Resources(MIB, MIB), maximum_size_mib=None, maximum_memory_mib=None
    )
    assert (size.check, memory.check) == (None, None)
    assert memory.numbers == {"champion_bytes": MIB, "challenger_bytes": 9 * MIB}


def test_model_above_a_bound_is_refused() -> None:
    size, memory = check_resources(
        Resources(3 * MIB, 9 * MIB), None, maximum_size_mib=2.5, maximum_memory_mib=9
    )
    assert size.check is not None
    assert memory.check is not None
    assert (size.check.passed, memory.check.passed) == (False, True)
    assert size.check.reason == "the model file has 3.0 MiB; gate.maximum_size_mib is 2.5"
    assert memory.check.reason == "scoring the holdout takes 9.0 MiB; gate.maximum_memory_mib is 9"


def test_memory_that_was_not_measured_is_left_out() -> None:
    found = check_resources(Resources(MIB), None, maximum_size_mib=None, maximum_memory_mib=1)
    assert [one.name for one in found] == ["size"]
