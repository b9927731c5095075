"""The categories that a booster of XGBoost 3.1 and later keeps, and rows whose categories it knows.

XGBoost 3.2 stores texts of pandas as UTF-8 with offsets that count characters, and cuts them off after as many bytes. It finds
the categories of rows that are stored the same way, so in the order of the fit: in another order, a text beyond ASCII and those
after it are taken for others. The characters that were cut off are those of the rows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pandas as pd

from homeostat.model_export.columns import Column
from homeostat.model_export.trees.ensemble import CategoryTable


def stored_categories(model: dict[str, Any], columns: Sequence[Column]) -> dict[int, CategoryTable]:
    """The table of each column, from the JSON of a booster's trees; boosters before 3.1 go by the order in the rows."""
    found: dict[int, CategoryTable] = {}
    for place, (encoder, column) in enumerate(zip(_encoders(model), columns, strict=False)):
        if not encoder.get("values"):
            continue
        if "offsets" in encoder:
            found[place] = CategoryTable(stored_texts(encoder, list(map(str, column.keys))))
        elif column.feature.type == "integer":
            found[place] = CategoryTable(tuple(int(value) for value in encoder["values"]))
    return found


def with_known_categories(booster: Any, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the categories of the fit, in its order, where these are texts beyond ASCII.

    Raises ValueError for a category that is none of them: XGBoost finds categories by binary search, and scores an unknown one as
    the next category, or refuses it after the last one.
    """
    if not any(isinstance(kind, pd.CategoricalDtype) for kind in rows.dtypes):
        return rows
    model = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]
    known = {}
    for place, encoder in enumerate(_encoders(model.get("gbtree", model).get("model") or {})):
        if not encoder.get("values"):
            continue
        values = rows.iloc[:, place]
        if "offsets" not in encoder:
            _refuse_unseen(values, encoder["values"])
            continue
        is_category = isinstance(values.dtype, pd.CategoricalDtype)
        texts = stored_texts(encoder, list(map(str, values.cat.categories)) if is_category else ())
        _refuse_unseen(values, texts)
        if is_category and not "".join(texts).isascii():
            known[rows.columns[place]] = values.cat.set_categories(list(texts))
    return rows.assign(**known)


def _refuse_unseen(values: pd.Series[Any], known: Sequence[Any]) -> None:
    if unseen := set(values.dropna().unique()) - set(known):
        raise ValueError(f"Found a category not in the training set: {min(map(str, unseen))!r}")


def stored_texts(encoder: dict[str, Any], listed: Sequence[str]) -> tuple[str, ...]:
    """The texts of `offsets` and `values`, which count bytes or characters. `listed`: categories of the rows, which decide.

    Raises ValueError if a text was cut off and the rows have none that it could be.
    """
    raw = bytes(value % 256 for value in encoder["values"])
    spans = list(pairwise(encoder["offsets"]))
    if raw.isascii():
        return tuple(raw[start:end].decode() for start, end in spans)
    try:
        by_bytes: tuple[str, ...] = tuple(raw[start:end].decode() for start, end in spans)
    except UnicodeDecodeError:
        by_bytes = ()
    if by_bytes and set(listed) <= set(by_bytes):
        return by_bytes
    text = raw.decode(errors="ignore")  # the last character may be cut
    found = [text[start:end] for start, end in spans]
    sizes = [end - start for start, end in spans]
    whole = {one for one, size in zip(found, sizes, strict=True) if len(one) == size}
    for place, size in enumerate(sizes):
        if len(found[place]) == size:
            continue
        # In the order of the fit the text is at its place.
        beside = list(listed[place : place + 1])
        likely = [
            one
            for one in [*beside, *listed]
            if one not in whole and len(one) == size and one.startswith(found[place])
        ]
        if not likely or (likely[0] not in beside and len(set(likely)) > 1):
            if by_bytes:
                return by_bytes
            raise ValueError(
                f"XGBoost truncated category {place + 1} of {len(sizes)}, of {size} characters, because of non-ASCII texts, "
                "and the rows do not show which one it was: give the column the categories of the training rows, "
                "rows[column].astype(fitted_rows[column].dtype)"
            )
        found[place] = likely[0]
        whole.add(likely[0])
    return tuple(found)


def _encoders(model: dict[str, Any]) -> list[dict[str, Any]]:
    return list((model.get("cats") or {}).get("enc", []))
