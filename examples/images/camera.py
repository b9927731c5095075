"""What happens to the camera in the course of the example. Pure."""

from __future__ import annotations

from dataclasses import dataclass

FADED_FROM, SCALED_FROM, DAYS = 8, 14, 16
FADED = 0.35  # share of its light that the old lamp still gives
BYTES_TO_12_BITS = 16


@dataclass(frozen=True)
class Camera:
    """`light`: share of the lamp's light that reaches the sensor. `scale`: what the driver multiplies each byte with."""

    light: float = 1.0
    scale: int = 1


def camera_on(day: int) -> Camera:
    """The camera on a day of the example, from 0.

    1. as installed   2. the lamp has faded: the world changed, and a new version can learn it
    3. a new driver sends 12 bits, not 8: the data are broken, and no model may be trained on them
    """
    light = FADED if day >= FADED_FROM else 1.0
    return Camera(light, BYTES_TO_12_BITS if day >= SCALED_FROM else 1)
