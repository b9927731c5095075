"""A scripted server, and clients of it."""

from __future__ import annotations

import pytest

from tests.fakes.scripted_inference import ScriptedInference


@pytest.fixture
def server() -> ScriptedInference:
    return ScriptedInference()
