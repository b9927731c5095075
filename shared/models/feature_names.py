"""The names that columns of people's data have as features. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

MAX_NAME_LENGTH = 63
_OTHER_SIGNS = re.compile(r"[^A-Za-z0-9_]+")


def valid_names(names: Iterable[str], *, reserved: Collection[str]) -> dict[str, str]:
    """A distinct feature name for each column name; none of the `reserved` ones, which the log uses itself.

    >>> valid_names(["petal length (cm)", "age", "Age", "score", "0"], reserved=["score"])
    {'petal length (cm)': 'petal_length_cm', 'age': 'age', 'Age': 'Age_2', 'score': 'score_', '0': 'x_0'}
    """
    taken: set[str] = set()
    valid = {}
    for name in names:
        text = _valid(str(name))
        if text in reserved:
            text = f"{text}_"
        text = text[:MAX_NAME_LENGTH]
        chosen, number = text, 2
        while chosen.casefold() in taken:
            ending = f"_{number}"
            chosen, number = text[: MAX_NAME_LENGTH - len(ending)] + ending, number + 1
        taken.add(chosen.casefold())
        valid[name] = chosen
    return valid


def columns_of(features: Iterable[str], columns: Collection[str]) -> dict[str, str]:
    """The column of each feature: the one of its name, or the only one that `valid_names` would give this name.

    A feature without one is left out.

    >>> columns_of(["age", "petal_length_cm", "score_"], ["age", "petal length (cm)", "score", "id"])
    {'age': 'age', 'petal_length_cm': 'petal length (cm)', 'score_': 'score'}
    """
    found = {}
    for feature in features:
        named = [column for column in columns if column == feature] or [
            column
            for column in columns
            if feature in (_valid(column)[:MAX_NAME_LENGTH], f"{_valid(column)}_"[:MAX_NAME_LENGTH])
        ]
        if len(named) == 1:
            found[feature] = named[0]
    return found


def _valid(name: str) -> str:
    text = _OTHER_SIGNS.sub("_", name)
    text = (text.strip("_") if text != name else text) or "x"
    return f"x_{text}" if text[0].isdigit() else text
