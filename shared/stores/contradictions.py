"""Outcomes of one prediction that contradict each other: who sent them, and how many of them are too many. Pure.

A sender is the name of the API key that posted an outcome; empty where the lake does not know it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.lake_schema import SENDER

SENDERS_NAMED = 3


def senders_in_contradiction(
    received: pa.Table, repeated: pa.ChunkedArray, source: str
) -> dict[str, list[str]]:
    """Those of the `repeated` predictions whose outcomes (the column `source`) are not all the same, with their senders.

    `received` is in order of arrival, and so are the senders of a prediction, each once. Repeats are few, and values may be maps.
    """
    rows = received.filter(pc.is_in(received["prediction_id"], value_set=repeated.combine_chunks()))
    first: dict[str, object] = {}
    senders: dict[str, list[str]] = {}
    contradicted: dict[str, None] = {}
    columns = (rows[name].to_pylist() for name in ("prediction_id", source, SENDER))
    for prediction_id, value, sender in zip(*columns, strict=True):
        if first.setdefault(prediction_id, value) != value:
            contradicted[prediction_id] = None
        known = senders.setdefault(prediction_id, [])
        if (sender or "") not in known:
            known.append(sender or "")
    return {prediction_id: senders[prediction_id] for prediction_id in contradicted}


def count_senders(contradicted: Iterable[Sequence[str] | None]) -> Counter[str]:
    """Of each sender, the contradicted predictions for which it sent an outcome. None: a prediction without contradiction.

    >>> count_senders([["sensors", "shop"], None, ["shop"]]).most_common()
    [('shop', 2), ('sensors', 1)]
    """
    return Counter(sender for senders in contradicted for sender in senders or ())


def senders_text(counts: Counter[str]) -> str:
    """The senders with most contradicted predictions, for a person.

    >>> senders_text(Counter({"shop": 292, "": 4}))
    'shop (292), unknown (4)'
    """
    named = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    rest = len(named) - SENDERS_NAMED
    text = ", ".join(f"{sender or 'unknown'} ({count})" for sender, count in named[:SENDERS_NAMED])
    return text + (f" and {rest} more" if rest > 0 else "")
