"""Kinds of predictions: what each needs, how wide its answers are, and that older ones keep their bytes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shared.contracts.prediction import LOSSES, Prediction

RANGES: dict[str, Any] = {"kind": "values", "names": ["low", "mid", "high"]}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"kind": "values"}, "a prediction of kind values needs `names`"),
        ({"kind": "value", "names": ["a", "b"]}, "kind values needs `names`, and no other kind has them"),
        ({"kind": "values", "names": ["a"]}, "`names` has from 2 to 256 entries; a single number is of kind"),
        ({"kind": "values", "names": [f"n{place}" for place in range(257)]}, "`names` has from 2 to 256"),
        ({"kind": "values", "names": ["low", "Low"]}, "`names` has low twice \\(capitals do not count\\)"),
        ({"kind": "values", "names": ["low", "0.5"]}, "a name has letters, digits and _, no digit first"),
        ({"kind": "values", "names": ["low", True]}, "YAML reads an unquoted yes, no, on or off as true"),
        ({"kind": "embedding"}, "a prediction of kind embedding needs `size`, at least 1"),
        ({"kind": "tensor", "size": 3}, "kind embedding needs `size`, at least 1, and no other kind has it"),
        ({"kind": "embedding", "size": 16385}, "less than or equal to 16384"),
        ({"kind": "embedding", "size": -1}, "greater than or equal to 0"),
        ({"kind": "value", "positive": "bad"}, "kind probability can have `positive`, and no other kind"),
        ({"kind": "probability", "positive": True}, "YAML reads an unquoted yes, no, on or off as true"),
    ],
)
def test_refusal_names_required_keys_of_the_kind(document: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Prediction.model_validate(document)


@pytest.mark.parametrize(
    ("document", "width", "has_score", "has_loss"),
    [
        ({"kind": "probability"}, 0, True, True),
        ({"kind": "probability", "positive": "bad"}, 0, True, True),
        ({"kind": "probability", "positive": 0}, 0, True, True),
        ({"kind": "value"}, 0, True, True),
        (RANGES, 3, False, True),
        ({"kind": "classes", "labels": ["a", "b"]}, 2, False, True),
        ({"kind": "embedding", "size": 384}, 384, False, False),
        ({"kind": "tensor"}, 0, False, False),
    ],
)
def test_kind_decides_width_score_and_loss(
    document: dict[str, Any], width: int, has_score: bool, has_loss: bool
) -> None:
    prediction = Prediction.model_validate(document)
    assert (prediction.width, prediction.has_score, prediction.has_loss) == (width, has_score, has_loss)
    # Keys of other kinds are left out: manifests keep the bytes that they had before there were such keys.
    assert prediction.model_dump(mode="json") == {**document, "output": ""}


def test_every_kind_has_an_entry_of_losses() -> None:
    kinds = Prediction.model_fields["kind"].annotation.__args__  # type: ignore[union-attr]
    assert set(kinds) == set(LOSSES)
