"""Seeded rows that look like flights, for tests that need no real year."""

from __future__ import annotations

import numpy as np
import pandas as pd


def made_flights(rows: int, seed: int = 7) -> pd.DataFrame:
    """Rows in time order, ten an hour; late with a chance that grows with the hour of the day."""
    random = np.random.default_rng(seed)
    hours = pd.Timestamp("2013-01-15T05:00Z") + pd.to_timedelta(np.arange(rows) // 10, unit="h")
    clock = hours.hour.to_numpy().astype("int64")
    frame = pd.DataFrame(
        {
            "carrier": random.choice(["UA", "AA", "B6"], rows),
            "origin": random.choice(["EWR", "JFK", "LGA"], rows),
            "dest": random.choice(["IAH", "MIA", "BOS", "ORD"], rows),
            "weekday": random.choice(["mon", "sat"], rows),
            "hour": clock,
            "distance": random.uniform(200, 2500, rows),
            "temp": random.normal(40, 10, rows),
            "humid": random.uniform(20, 100, rows),
            "wind_speed": random.uniform(0, 30, rows),
            "precip": random.exponential(0.01, rows),
            "pressure": random.normal(1015, 7, rows),
            "visib": np.full(rows, 10.0),
            "event_time": hours,
            "outcome_time": hours + pd.Timedelta(minutes=150),
            "outcome": (random.random(rows) < clock / 30).astype(float),
        }
    )
    frame.loc[random.random(rows) < 0.1, "pressure"] = np.nan
    return frame
