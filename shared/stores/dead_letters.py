"""Reads the lake's dead letters for people, with the model of each and what became of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import orjson
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from shared.contracts.lake_schema import OUTCOMES, replay_source, stream_transaction
from shared.contracts.topics import OUTCOMES as OUTCOME_TOPIC
from shared.stores.lake import Lake
from shared.stores.lake_errors import raises_dependency_unavailable

REPLAY_EPOCH: Final = 1
UNKNOWN_PREDICTION: Final = "unknown_prediction"
_UNAUTHENTICATED = "unauthenticated"
# Their rows use up their sequences, as stored rows do.
_NUMBERED = ("schema", UNKNOWN_PREDICTION)
_COLUMNS = ("refused_at", "reason", "detail", "origin", "origin_topic", "origin_offset", "rows", "headers")


@dataclass(frozen=True)
class StoredDeadLetter:
    """A dead letter. `source` names it, and is the writer of its rows when they are replayed. `model`: empty if not known.

    `is_replayed`: its rows are in the lake. `refused_again`: name of the dead letter that its replay became; empty if none.
    """

    source: str
    refused_at: datetime
    reason: str
    detail: str
    origin: str
    origin_topic: str
    rows: int | None
    kind: str
    model: str
    headers: Mapping[str, str]
    is_replayed: bool
    value: bytes = b""
    refused_again: str = ""

    @property
    def name(self) -> str:
        """What commands call it."""
        return self.source.removeprefix("replay-")

    @property
    def waits(self) -> bool:
        """Whether its rows can still be replayed, and no newer dead letter holds them."""
        return not self.is_replayed and not self.refused_again


@raises_dependency_unavailable
def read_dead_letters(
    lake: Lake, *, values: bool = False, limit: int | None = None
) -> list[StoredDeadLetter]:
    """The newest dead letters, newest first. `values`: with their bytes."""
    table = lake.open(lake.dead_letters())
    if table is None:
        return []
    dataset = table.to_pyarrow_dataset()
    wanted = [name for name in (*_COLUMNS, *(("value",) if values else ())) if name in dataset.schema.names]
    rows = dataset.to_table(columns=wanted).sort_by([("refused_at", "descending")])
    rows = rows if limit is None else rows.slice(0, limit)
    return _with_replays(lake, [_read(row) for row in rows.to_pylist()])


def _with_replays(lake: Lake, found: list[tuple[StoredDeadLetter, bool]]) -> list[StoredDeadLetter]:
    tables: dict[str, Any] = {}
    checked = []
    refusals: dict[str, StoredDeadLetter] = {}
    for letter, _ in found:  # newest first
        if letter.reason != _UNAUTHENTICATED:
            refusals.setdefault(letter.headers.get("ce_source", ""), letter)
    for letter, names_model in found:
        location = lake.outcomes(letter.model) if letter.kind == OUTCOMES else lake.predictions(letter.model)
        if names_model and location not in tables:
            tables[location] = lake.open(location)
        table = tables.get(location) if names_model else None
        transaction = stream_transaction(letter.source, REPLAY_EPOCH)
        is_replayed = table is not None and table.transaction_version(transaction) is not None
        newer = refusals.get(letter.source)
        # Other refusals use up no sequences: the rows were sent twice then.
        if newer is not None and (newer.reason in _NUMBERED or not is_replayed):
            checked.append(replace(letter, refused_again=newer.name))
        else:
            checked.append(replace(letter, is_replayed=is_replayed))
    return checked


@raises_dependency_unavailable
def mark_replayed(lake: Lake, letter: StoredDeadLetter, rows: int) -> None:
    """Record that the lake has all `rows` predictions of a dead letter, as a replay of them would."""
    location = lake.predictions(letter.model)
    if lake.open(location) is None:
        return
    table = DeltaTable(location)  # writing moves a handle
    transaction = Transaction(stream_transaction(letter.source, REPLAY_EPOCH), rows - 1)
    with suppress(CommitFailedError):  # a sink has written the same transaction meanwhile
        write_deltalake(
            table,
            pa.schema(table.schema().to_arrow()).empty_table(),
            mode="append",
            commit_properties=CommitProperties(app_transactions=[transaction]),
        )


def _read(row: Mapping[str, Any]) -> tuple[StoredDeadLetter, bool]:
    headers = _headers(row.get("headers"))
    origin, topic = row.get("origin") or "", row["origin_topic"]
    parts = origin.split("/")
    if topic.startswith("spool/") and len(parts) == 5:
        kind, model = parts[3], parts[4]  # spool/<writer>/<epoch>/<kind>/<model>
    else:
        kind = OUTCOMES if topic == OUTCOME_TOPIC.name else "predictions"
        model = headers.get("ce_model", "")
    letter = StoredDeadLetter(
        source=replay_source(origin, row["origin_offset"]),
        refused_at=row["refused_at"],
        reason=row["reason"],
        detail=row.get("detail") or "",
        origin=origin,
        origin_topic=topic,
        rows=row.get("rows"),
        kind=kind,
        model=model,
        headers=headers,
        is_replayed=False,
        value=row.get("value") or b"",
    )
    return letter, lake_knows(model)


def lake_knows(model: str) -> bool:
    """Whether that may be the name of a model's table: headers of a refused record are not checked."""
    return bool(model) and model.replace("-", "").replace("_", "").isalnum()


def _headers(text: object) -> dict[str, str]:
    try:
        return {str(name): str(value) for name, value in orjson.loads(str(text))}
    except (ValueError, TypeError):
        return {}
