"""Tests here need a CUDA device; without one each says what was missing and skips."""

from __future__ import annotations

import pytest

from services.inference.runtimes.devices import Device, choose_device
from shared.errors import OperatorError


@pytest.fixture(scope="session")
def cuda() -> Device:
    """CUDA, or a skip that says why there is none."""
    try:
        return choose_device("cuda")
    except OperatorError as error:
        pytest.skip(error.message)
