"""Findings about one column alone: without a model, and without other columns. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.data_checks.column_profile import ColumnProfile, numbers_of, shown, values_present
from shared.data_checks.finding import Finding

# Missing values are worth a note above this share.
MISSING_SHARE = 0.2
# Text that is a number in nearly every row.
NUMERIC_TEXT_SHARE = 0.99
# A code for "missing" is an extreme value with at least this share of the rows, and further from the others than this many times
# the span of their middle half (Tukey 1977 calls values beyond 3 spans far out).
PLACEHOLDER_SHARE = 0.005
PLACEHOLDER_SPANS = 10.0
# With fewer values a text that is distinct in every row says nothing.
IDENTIFIER_ROWS = 50
MAX_CATEGORIES = 5_000


def column_findings(profile: ColumnProfile, column: pa.ChunkedArray) -> Iterator[Finding]:
    """What the values of a column show."""
    name = profile.name
    if profile.rows and not profile.present:
        yield Finding(
            "empty_column", "warning", name, f"every value of {name} is missing", "fill or remove it"
        )
        return
    share = profile.missing / profile.rows if profile.rows else 0.0
    if share > MISSING_SHARE:
        yield Finding(
            "missing_values",
            "note",
            name,
            f"{share:.1%} of the values of {name} are missing",
            value=share,
            limit=MISSING_SHARE,
        )
    if profile.distinct == 1 and profile.present > 1:
        value = profile.frequent[0][0] if profile.frequent else profile.first
        yield Finding(
            "constant_column",
            "warning",
            name,
            f"every value of {name} is {value}",
            "a column of one value teaches a model nothing: remove it, or give rows in which it varies",
        )
    present = values_present(column)
    if profile.kind == "number":
        yield from _numbers(profile, present)
    elif profile.kind == "text":
        yield from _texts(profile, present)


def _numbers(profile: ColumnProfile, present: pa.ChunkedArray) -> Iterator[Finding]:
    name = profile.name
    if profile.infinite:
        yield Finding(
            "infinite_values",
            "error",
            name,
            f"{profile.infinite} values of {name} are infinite",
            "write them as missing, or correct the division that made them",
            value=float(profile.infinite),
            limit=0.0,
        )
    numbers = numbers_of(present)
    numbers = numbers[np.isfinite(numbers)]
    if numbers.size < IDENTIFIER_ROWS:
        return
    for extreme in {float(numbers.min()), float(numbers.max())}:
        others = numbers[numbers != extreme]
        share = 1 - others.size / numbers.size
        if others.size < IDENTIFIER_ROWS or share < PLACEHOLDER_SHARE:
            continue
        low, high = np.quantile(others, [0.25, 0.75])
        nearest = float(np.abs(others - extreme).min())
        if high > low and nearest > PLACEHOLDER_SPANS * (high - low):
            yield Finding(
                "placeholder_value",
                "warning",
                name,
                f"{share:.1%} of the values of {name} are {extreme:g}; the others {others.min():g} to {others.max():g}",
                "if it stands for a missing value, write it as missing",
                value=share,
                limit=PLACEHOLDER_SHARE,
            )


def _texts(profile: ColumnProfile, present: pa.ChunkedArray) -> Iterator[Finding]:
    name = profile.name
    texts = pc.utf8_trim_whitespace(present.cast(pa.string()))
    numeric = pc.match_substring_regex(texts, r"^[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?$")
    share = pc.mean(numeric.cast(pa.float64())).as_py() or 0.0
    if share >= NUMERIC_TEXT_SHARE:
        yield Finding(
            "numbers_as_text",
            "warning",
            name,
            f"{name} holds numbers as text, such as {shown(present[0].as_py())!r}",
            "write the column as numbers",
            value=share,
            limit=NUMERIC_TEXT_SHARE,
        )
    elif profile.distinct == profile.present >= IDENTIFIER_ROWS:
        yield Finding(
            "identifier",
            "note",
            name,
            f"every value of {name} is different, as those of an identifier are",
            "a model cannot learn from an identifier: leave it out",
        )
    if profile.distinct > MAX_CATEGORIES:
        return
    spellings: defaultdict[str, set[str]] = defaultdict(set)
    for text in pc.unique(present.cast(pa.string())).to_pylist():
        spellings[" ".join(str(text).casefold().split())].add(str(text))
    variants = sorted(min(group) for group in spellings.values() if len(group) > 1)
    if variants:
        group = sorted(next(group for group in spellings.values() if min(group) == variants[0]))
        yield Finding(
            "spelling_variants",
            "warning",
            name,
            f"values of {name} differ only in capitals or spaces, such as {' and '.join(repr(shown(one)) for one in group[:2])}",
            "write each value in one way",
            value=float(len(variants)),
            limit=0.0,
        )
