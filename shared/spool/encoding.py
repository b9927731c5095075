"""Turns answered rows and outcomes into the bytes of spool records, all but their sequence. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import orjson

from shared.contracts.prediction_id import IdBlock
from shared.spool.record import OPTIONS, Classes, Kind

Values = Sequence[object] | np.ndarray[Any, Any]
Columns = Mapping[str, Values]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A record of `rows` rows that has no sequence yet."""

    kind: Kind
    model: str
    rows: int
    head: bytes
    tensors: list[memoryview]


def encode_predictions(
    *,
    model: str,
    version: str,
    generation: int,
    slot: str = "live",
    event_time: datetime,
    answered_at: datetime,
    prediction_ids: Sequence[str],
    scores: Sequence[float] | None,
    columns: Columns,
    following: Sequence[Columns] = (),
    traceparent: str = "",
    classes: Classes | None = None,
    vectors: np.ndarray[Any, Any] | None = None,
    time_bound: int | None = None,
    keys: Sequence[str | None] | None = None,
) -> Encoded:
    """Answered rows.

    `columns` holds per feature a list (strings, floats, integers, booleans, None), for tensors float32 [n, *shape], for
    timestamps datetime64 [n] in UTC. `following`: the same of the rows after these: large tensors are not copied.
    `slot`: which of the model's versions answered; not written for `live`. `classes`: labels and probabilities, of a model that
    has them. `vectors`: answers that are values or embeddings.
    `time_bound`: `event_time.bound` in microseconds, where it is not the default. `keys`: those of the rows' requests.
    Raises ValueError when lengths differ.
    """
    rows = len(prediction_ids)
    if rows == 0:
        return Encoded("predictions", model, 0, b"", [])
    plain: dict[str, object] = {}
    shapes: list[tuple[str, tuple[int, ...]]] = []
    tensors: list[memoryview] = []
    timestamps: list[str] = []
    for name, values in columns.items():
        parts = [values, *(part[name] for part in following)] if following else [values]
        count = sum(map(len, parts))
        if count != rows:
            raise ValueError(f"column {name!r} has {count} values, expected {rows}")
        if isinstance(values, np.ndarray) and values.ndim > 1:
            shapes.append((name, (rows, *values.shape[1:])))
            tensors += map(_bytes_of, parts)
            continue
        if following:
            values = _joined(parts)
        if not isinstance(values, np.ndarray):
            plain[name] = values
        elif values.dtype.kind == "M":
            plain[name] = values.astype("datetime64[us]").view(np.int64)
            timestamps.append(name)
        else:
            plain[name] = values
    document: dict[str, object] = {
        "kind": "predictions",
        "model": model,
        "version": version,
        "generation": generation,
        "event_time": event_time,
        "answered_at": answered_at,
        "ids": orjson.Fragment(b"[%b]" % prediction_ids.text)
        if isinstance(prediction_ids, IdBlock)
        else prediction_ids,
        "scores": scores,
        "columns": plain,
        "tensors": shapes,
        "traceparent": traceparent,
    }
    if slot != "live":
        document["slot"] = slot
    if timestamps:
        document["timestamps"] = timestamps
    if time_bound is not None:
        document["time_bound"] = time_bound
    if keys is not None:
        if len(keys) != rows:
            raise ValueError(f"{rows} ids, {len(keys)} keys: expected the same number")
        document["keys"] = keys
    if classes is not None:
        if not len(classes.labels) == len(classes.scores) == rows:
            raise ValueError(
                f"{rows} ids, {len(classes.labels)} labels, {len(classes.scores)} rows of scores: expected the same number"
            )
        document["labels"] = classes.labels
        document["classes"] = classes.scores.shape[1]
        tensors.append(_bytes_of(classes.scores))
    if vectors is not None:
        if len(vectors) != rows:
            raise ValueError(f"{rows} ids, {len(vectors)} rows of vectors: expected the same number")
        document["width"] = vectors.shape[1]
        tensors.append(_bytes_of(vectors))
    return Encoded("predictions", model, rows, orjson.dumps(document, option=OPTIONS), tensors)


def encode_outcomes(
    *,
    model: str,
    received_at: datetime,
    prediction_ids: Sequence[str],
    values: Sequence[float | None],
    observed_at: Sequence[datetime],
    traceparent: str = "",
    labels: Sequence[str] | None = None,
    numbers: Sequence[Mapping[str, float]] | None = None,
    sender: str = "",
    time_bound: int | None = None,
) -> Encoded:
    """Outcomes of one request. `labels`: of a model with classes; `numbers`: of several values; their `values` are None.
    `sender`: the authenticated name of who posted them. `time_bound`: as of predictions, of the live version.

    Raises ValueError when lengths differ.
    """
    rows = len(prediction_ids)
    if rows == 0:
        return Encoded("outcomes", model, 0, b"", [])
    if len(values) != rows or len(observed_at) != rows or len(labels or values) != rows:
        raise ValueError(
            f"{rows} ids, {len(values)} values, {len(observed_at)} times: expected the same number"
        )
    document: dict[str, object] = {
        "kind": "outcomes",
        "model": model,
        "received_at": received_at,
        "ids": prediction_ids,
        "values": values,
        "observed_at": observed_at,
        "traceparent": traceparent,
    }
    if labels is not None:
        document["labels"] = labels
    if numbers is not None:
        document["numbers"] = numbers
    if sender:
        document["sender"] = sender
    if time_bound is not None:
        document["time_bound"] = time_bound
    return Encoded("outcomes", model, rows, orjson.dumps(document, option=OPTIONS), [])


def _joined(parts: Sequence[Values]) -> Values:
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if len(arrays) == len(parts):
        return np.concatenate(arrays)
    return [value for part in parts for value in part]


def _bytes_of(values: Values) -> memoryview:
    return np.ascontiguousarray(values, "<f4").data.cast("B")
