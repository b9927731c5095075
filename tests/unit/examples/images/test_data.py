"""Pictures from a seed, and what the camera does to them."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from examples.images.camera import FADED_FROM, SCALED_FROM, Camera
from examples.images.data import BEGINS, LABELS, SHAPE, day_of_pictures, draw


def test_same_seed_draws_the_same_pictures() -> None:
    first, again = draw(LABELS, 3, Camera()), draw(LABELS, 3, Camera())
    assert first.shape == (4, *SHAPE)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, draw(LABELS, 4, Camera()))


def test_faded_lamp_darkens_and_keeps_noise() -> None:
    bright, faded = draw(["good"] * 8, 3, Camera()), draw(["good"] * 8, 3, Camera(light=0.35))
    assert faded.mean() < 0.45 * bright.mean()
    corner = np.s_[:, :, :3, :3]
    assert faded[corner].std() > 0.6 * bright[corner].std()


def test_a_new_driver_multiplies_bytes() -> None:
    assert np.array_equal(draw(LABELS, 3, Camera(scale=16)), draw(LABELS, 3, Camera()) * 16)


def test_days_follow_the_camera() -> None:
    means = {
        day: np.mean([picture.mean() for picture in day_of_pictures(day, 20, 1).image])
        for day in (0, FADED_FROM, SCALED_FROM)
    }
    assert 60 < means[0] < 140
    assert means[FADED_FROM] < 0.5 * means[0]
    assert means[SCALED_FROM] > 255


def test_a_day_holds_its_rows_in_time_order() -> None:
    day = day_of_pictures(2, 24, 1)
    assert day.event_time.iloc[0] == BEGINS + timedelta(days=2)
    assert day.event_time.iloc[-1] == BEGINS + timedelta(days=2, hours=23)
    assert set(day.outcome) <= set(LABELS)
