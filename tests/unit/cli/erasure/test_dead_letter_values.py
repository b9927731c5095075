"""Dead letters without a subject's rows: also those that no table can store, and that anyone may have sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from cli.erasure.dead_letter_values import without_subject
from shared.contracts.lake_schema import PREDICTION_COLUMNS
from shared.contracts.topics import PREDICTIONS
from shared.messaging.arrow import from_bytes, predictions_batch, to_bytes
from shared.spool.record import PredictionRecord
from shared.stores.erasure.dead_letter_rows import Kept
from shared.stores.erasure.subject import Subject

CANARY, OTHER = "canary-5510", "beatrice-17"
SUBJECT = Subject((CANARY,))
TIME = datetime(2026, 3, 1, tzinfo=UTC)


def batch(*customers: str) -> pa.RecordBatch:
    record = PredictionRecord(
        model="loans", sequence=0, version="v", generation=1, event_time=TIME, answered_at=TIME,
        prediction_ids=[f"p-{place}" for place in range(len(customers))], scores=[0.5] * len(customers),
        columns={"customer": list(customers)},
    )  # fmt: skip
    return predictions_batch([record], writer="w", epoch=1)


def kept_of(value: bytes, *, models: frozenset[str] | None = None, headers: Any = None) -> Kept | None:
    letter = {
        "origin_topic": PREDICTIONS.name, "origin": "predictions/0", "value": value,
        "headers": json.dumps(headers if headers is not None else [["ce_model", "loans"]]),
    }  # fmt: skip
    return without_subject(letter, SUBJECT, frozenset(), lambda model: frozenset({"customer"}), models)


def test_other_rows_remain() -> None:
    kept = kept_of(to_bytes(batch(CANARY, OTHER)))
    assert kept is not None
    assert kept.value is not None
    assert from_bytes(kept.value, columns=PREDICTION_COLUMNS)["f_customer"].to_pylist() == [OTHER]
    assert kept_of(to_bytes(batch(OTHER))) is None


def with_column(name: str, values: pa.Array, of: pa.RecordBatch) -> bytes:
    return to_bytes(of.append_column(pa.field(name, values.type), values))


@pytest.mark.parametrize(
    "unreadable",
    [
        lambda name: to_bytes(batch(name).drop_columns(["version"])),
        lambda name: with_column("f_customer", pa.array([name]), batch(name)),
        lambda name: with_column("key", pa.array([{"id": name}]), batch(OTHER)),
        lambda name: with_column("key", pa.array([name.encode()]), batch(OTHER)),
        lambda name: b"no batch, with the name " + name.encode(),
    ],
)
def test_what_no_table_can_store_is_searched_as_text(unreadable: Any) -> None:
    assert kept_of(unreadable(CANARY)) == Kept(None)
    assert kept_of(unreadable(OTHER)) is None
    assert kept_of(b"\xff\xff\xff\xff damaged") is None


def test_what_is_compressed_is_searched_too() -> None:
    names = [f"customer {place * 7919 % 1000} of the shop" for place in range(200)]
    value = to_bytes(batch(*names, CANARY).drop_columns(["version"]))
    assert CANARY.encode() not in value
    assert kept_of(value) == Kept(None)
    assert kept_of(to_bytes(batch(*names).drop_columns(["version"]))) is None
    assert kept_of(value[: len(value) // 2]) is None, "what is cut cannot be decompressed"


def test_headers_of_any_form_are_read() -> None:
    assert kept_of(to_bytes(batch(OTHER)), headers=[1]) is None
    assert kept_of(to_bytes(batch(CANARY)), headers=[1]) == Kept(None)


def test_other_models_are_left_where_one_is_named() -> None:
    value = to_bytes(batch(CANARY))
    assert kept_of(value, models=frozenset({"parcels"})) is None
    assert kept_of(value, models=frozenset({"loans"})) == Kept(None)
