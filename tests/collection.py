"""Garbage collection stands still while tests are collected, and never looks at what was imported for them.

A worker imports all libraries: without this, each full collection looks at millions of objects that stay until the end.
"""

from __future__ import annotations

import gc
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Switch the collector off, and keep from it what is there at the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
