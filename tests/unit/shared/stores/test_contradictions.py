from __future__ import annotations

from collections import Counter

import pyarrow as pa

from shared.stores.contradictions import count_senders, senders_in_contradiction, senders_text


def test_contradicted_predictions_name_their_senders_in_order() -> None:
    received = pa.table(
        {
            "prediction_id": ["a", "b", "c", "a", "b", "a", "c"],
            "value": [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, None],
            "sender": ["shop", "shop", None, "sensors", "sensors", "shop", "shop"],
        }
    )
    repeated = pa.chunked_array([["a", "b", "c"]])
    found = senders_in_contradiction(received, repeated, "value")
    assert found == {"a": ["shop", "sensors"], "c": ["", "shop"]}
    assert count_senders([*found.values(), None]) == Counter({"shop": 2, "sensors": 1, "": 1})


def test_outcomes_that_are_maps_are_compared_as_a_whole() -> None:
    kind = pa.map_(pa.string(), pa.float64())
    values = pa.array([[("low", 1.0)], [("low", 1.0)], [("low", 1.0)], [("low", 2.0)]], kind)
    received = pa.table(
        {"prediction_id": ["a", "a", "b", "b"], "values": values, "sender": ["x", "x", "x", "y"]}
    )
    assert senders_in_contradiction(received, pa.chunked_array([["a", "b"]]), "values") == {"b": ["x", "y"]}


def test_text_names_the_worst_senders() -> None:
    counts = Counter({f"key-{number}": 10 + number for number in range(5)})
    assert senders_text(counts) == "key-4 (14), key-3 (13), key-2 (12) and 2 more"
