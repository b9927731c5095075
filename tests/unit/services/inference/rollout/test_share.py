"""Which keys a share takes: the same on every server, growing with the share, close to its size."""

from __future__ import annotations

from itertools import pairwise

import pytest

from services.inference.rollout.share import is_in_share

EXPECTED = [25, 62, 525, 804, 908, 1333, 1422, 1761, 1791, 1817, 1836]


def keys(share: float, version: str = "v2", model: str = "toy") -> set[int]:
    return {
        number
        for number in range(2000)
        if is_in_share(f"customer-{number}", model=model, version=version, share=share)
    }


def test_keys_of_a_share_are_always_the_same() -> None:
    assert sorted(keys(0.01)) == EXPECTED


def test_larger_share_has_the_keys_of_the_smaller() -> None:
    found = [keys(share) for share in (0.01, 0.1, 0.5, 0.9, 1.0)]
    assert all(smaller < larger for smaller, larger in pairwise(found))
    assert len(found[-1]) == 2000


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_share_is_close_to_its_size(share: float) -> None:
    assert abs(len(keys(share)) - 2000 * share) < 4 * (2000 * share * (1 - share)) ** 0.5


def test_another_version_or_model_takes_other_keys() -> None:
    taken = keys(0.1)
    for others in (keys(0.1, version="v3"), keys(0.1, model="other")):
        assert len(taken & others) < 50
