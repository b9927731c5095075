"""Pictures of bottle caps on a conveyor belt, drawn from a seed, and what can happen to their camera."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from examples.images.camera import Camera, camera_on

Pictures = npt.NDArray[np.uint16]

LABELS = ("good", "scratch", "dent", "open")
SHARES = (0.55, 0.15, 0.15, 0.15)
SIZE = 64  # pixels on a side
SHAPE = (3, SIZE, SIZE)
BEGINS = datetime(2026, 3, 2, tzinfo=UTC)
NOISE = 0.03  # standard deviation of the sensor's noise, where white is 1

_Y, _X = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)


def draw(labels: Sequence[str], seed: int, camera: Camera) -> Pictures:
    """One picture [3, 64, 64] per label: red, green and blue, 0 to 255 from a camera as installed.

    The sensor's noise does not fade with the lamp, as in a real camera.
    """
    random = np.random.default_rng(seed)
    drawn = np.zeros((len(labels), *SHAPE), np.float64)
    for picture, label in zip(drawn, labels, strict=True):
        picture[:] = _cap(label, random) * camera.light * random.uniform(0.9, 1.1)
    drawn += random.normal(0, NOISE, drawn.shape)
    return np.round(np.clip(drawn, 0, 1) * 255).astype(np.uint16) * np.uint16(camera.scale)


def day_of_pictures(day: int, rows: int, seed: int) -> pd.DataFrame:
    """The pictures of one day, evenly over its 24 hours: columns `event_time`, `image` (arrays) and `outcome` (a label)."""
    random = np.random.default_rng([seed, day + 1000])
    labels = [str(label) for label in random.choice(LABELS, rows, p=SHARES)]
    pictures = draw(labels, int(random.integers(2**31)), camera_on(day))
    times = [BEGINS + timedelta(days=day + place / rows) for place in range(rows)]
    return pd.DataFrame({"event_time": pd.DatetimeIndex(times), "image": list(pictures), "outcome": labels})


def _cap(label: str, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """A belt, a cap on it, and its fault if it has one, in full light: 0 is black, 1 is white."""
    x, y = SIZE / 2 + random.uniform(-6, 6, 2)
    radius = random.uniform(19, 23)
    distance = np.hypot(_X - x, _Y - y)
    angle = np.arctan2(_Y - y, _X - x)
    belt = 0.30 + 0.04 * np.sin(_X / random.uniform(2.5, 4.0) + random.uniform(0, 6))
    colour = random.uniform(0.45, 0.85, (3, 1, 1))
    cap = np.clip(radius - distance, 0, 1)
    picture: npt.NDArray[np.float64] = belt[None] * (1 - cap) + colour * cap
    # The ring of the seal, a little darker than the cap.
    ring = np.exp(-(((distance - radius * 0.75) / 1.5) ** 2))
    if label == "open":
        gap = random.uniform(0.8, 1.3)  # half of the gap in the ring, in radians
        ring = ring * (np.abs(_turned(angle, random.uniform(-np.pi, np.pi))) > gap)
    picture = picture - 0.32 * ring[None] * cap
    if label == "scratch":
        across = (_X - x) * np.sin(turn := random.uniform(0, np.pi)) - (_Y - y) * np.cos(turn)
        along = (_X - x) * np.cos(turn) + (_Y - y) * np.sin(turn)
        line = np.exp(-(((across - random.uniform(-5, 5)) / 1.5) ** 2)) * (
            np.abs(along) < random.uniform(10, 16)
        )
        picture = picture + 0.35 * line[None] * cap
    if label == "dent":
        at, far = random.uniform(-np.pi, np.pi), random.uniform(0.0, 0.45) * radius
        blob = np.hypot(_X - x - far * np.cos(at), _Y - y - far * np.sin(at))
        picture = picture - 0.30 * np.exp(-((blob / random.uniform(4.0, 6.0)) ** 2))[None] * cap
    return picture


def _turned(angle: npt.NDArray[np.float32], by: float) -> npt.NDArray[np.float64]:
    """The angle from a direction, from -pi to pi."""
    turned: npt.NDArray[np.float64] = np.angle(np.exp(1j * (angle - by)))
    return turned
