"""Sizes of the images: what is of ours, and what that would be on the official base image.

A stand-in of Python's image is larger than the official one, whose layers are replaced by one of ours anyway (stage `runtime`).
"""

from __future__ import annotations

from tests.containers.composition import is_ours, load
from tests.containers.engine.checks import CheckFailed
from tests.containers.engine.stack import Stack

# Decimal, as `docker images` shows them. python:3.11-slim-bookworm is known to be about 131 MB. Of these, pip, setuptools, wheel
# (11.7 MB, as their wheels are unpacked) and ensurepip (3.4 MB) are not in our layer of it.
OFFICIAL_BASE_MB = 131 - 15
BARS_MB = {"shipper": 450, "sink": 450, "inference": 750}


def measure(stack: Stack) -> dict[str, int]:
    """MB of each image on the official base: all layers but the first, and that base."""
    images = {
        service["image"].split("/")[1].split(":")[0]: service["image"]
        for service in load()["services"].values()
        if is_ours(service)
    }
    found = {}
    for name, image in sorted(images.items()):
        history = stack.run(
            f"docker history --human=false --format '{{{{.Size}}}} {{{{.CreatedBy}}}}' {image}"
        )
        layers = [line.split(" ", 1) for line in history.splitlines()]
        ours = sum(int(size) for size, made_by in layers if not made_by.startswith("COPY / / "))
        found[name] = round(ours / 1e6) + OFFICIAL_BASE_MB
    return found


def hold(found: dict[str, int], name: str, bar: int) -> None:
    """Raise CheckFailed if an image is larger than its bar, in MB."""
    if found[name] > bar:
        raise CheckFailed(f"{found[name]} MB")
