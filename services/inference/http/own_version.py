"""The version of the product, for clients that ask for the server's."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def own_version() -> str:
    """The version of the installed package."""
    try:
        return version("homeostat")
    except PackageNotFoundError:  # run from a checkout
        return "unpackaged"
