from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from cli.deployment.review.deployed_rows import DeployedRows
from cli.deployment.review.review import review
from examples.flights.data import FEATURES, load_flights
from examples.flights.first_version import BEGINS, REFERENCE
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import read_loop_spec

PROJECT = Path(__file__).resolve().parents[4] / "examples" / "flights"


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    return load_flights()


@pytest.fixture(scope="module")
def loop() -> LoopSpec:
    return read_loop_spec(PROJECT)


def test_the_whole_year_is_there_in_time_order(flights: pd.DataFrame) -> None:
    assert len(flights) == 336_776
    assert flights.event_time.is_monotonic_increasing
    assert flights.event_time.iloc[0] == pd.Timestamp("2013-01-01T10:00Z")


def test_flights_that_never_arrived_have_no_outcome(flights: pd.DataFrame) -> None:
    assert flights.outcome.notna().sum() == 327_346
    assert (flights.outcome.isna() == flights.outcome_time.isna()).all()


def test_an_outcome_is_known_only_after_the_flight_has_left(flights: pd.DataFrame) -> None:
    lag = (flights.outcome_time - flights.event_time).dropna()
    assert lag.min() > pd.Timedelta(minutes=20)
    assert lag.quantile(0.999) < pd.Timedelta(hours=12)


def test_nothing_known_only_afterwards_is_a_feature() -> None:
    assert not {"dep_delay", "arr_delay", "air_time", "dep_time", "arr_time"} & set(FEATURES)


def test_loop_yaml_names_the_features_of_the_data(loop: LoopSpec) -> None:
    assert [feature.name for feature in loop.features] == list(FEATURES)


def test_no_real_value_is_refused_or_out_of_range(flights: pd.DataFrame, loop: LoopSpec) -> None:
    for feature in loop.features:
        values = flights[feature.name]
        if feature.type == "category":
            assert set(values) <= set(feature.values), feature.name
            continue
        assert feature.nullable or values.notna().all(), feature.name
        present = values.dropna()
        assert feature.minimum is not None
        assert feature.maximum is not None
        assert present.between(feature.minimum, feature.maximum).all(), feature.name


def test_first_deployment_has_no_warnings(flights: pd.DataFrame, loop: LoopSpec) -> None:
    """The rows of version 1, scored by the share of late flights at each hour of the days before."""
    known = flights[(flights.event_time < BEGINS) & flights.outcome.notna()]
    reference = known[known.event_time >= BEGINS - REFERENCE]
    late = known[known.event_time < BEGINS - REFERENCE].groupby("hour").outcome.mean()
    scored = reference.assign(score=reference.hour.map(late).fillna(late.mean()).clip(0.02, 0.98))
    table = pa.Table.from_pandas(scored, preserve_index=False)
    assert review(loop, DeployedRows(table, table)) == []
