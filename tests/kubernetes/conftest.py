"""Each case of values, rendered once."""

from __future__ import annotations

from functools import cache

import pytest

from tests.kubernetes.chart import CASES, Manifest, render


@cache
def rendered(case: str) -> list[Manifest]:
    return render(CASES[case])


@pytest.fixture(params=CASES)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    """What helm makes of a case's values; every case in turn."""
    return rendered(request.param)


@pytest.fixture
def everything() -> list[Manifest]:
    """With all that can be switched on."""
    return rendered("everything")


@pytest.fixture
def smallest() -> list[Manifest]:
    """With what must be set alone."""
    return rendered("smallest")
