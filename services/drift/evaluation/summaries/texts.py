r"""Texts as numbers, one of each kind per row: what drift detectors watch of a text. Pure.

- length: characters
- distinct: share of a text's words that are different from one another (type-token ratio, Templin 1957): the vocabulary it uses
- unknown: share of a text's words that no other row of the reference has

New texts always have new words (Heaps 1978), so the words of the reference's own rows must not count as known by being their own:
in them, a word is known if another row has it, too. So a row like them has as many unknown words as they have.
A word is what letters and digits stand together, in lower case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import PrivateAttr

from shared.contracts.feature import Feature
from shared.contracts.loop_spec import LoopSpec

Floats = npt.NDArray[np.float64]
TextSummary = Literal["length", "distinct", "unknown"]
# The most frequent words of a reference; rarer ones count as unknown.
MAXIMUM_WORDS = 100_000
_BETWEEN_WORDS = r"[^\p{L}\p{N}]+"


class TextFeature(Feature):
    """A text with the words that count as known in its rows."""

    _vocabulary: pa.Array = PrivateAttr(default_factory=lambda: pa.array([], pa.string()))

    @property
    def vocabulary(self) -> pa.Array:
        """Words, in lower case."""
        return self._vocabulary

    @classmethod
    def of(cls, feature: Feature, vocabulary: pa.Array) -> TextFeature:
        """The feature with these words."""
        found = cls.model_construct(**{name: getattr(feature, name) for name in Feature.model_fields})
        found._vocabulary = vocabulary
        return found


@dataclass(frozen=True)
class _Words:
    """All words of some texts: their text's number in `rows`, and their place in `distinct`."""

    rows: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    distinct: pa.Array


def text_summaries(feature: Feature) -> tuple[TextSummary, ...]:
    """What is measured of a text: unknown words only where a vocabulary is known."""
    return ("length", "distinct", "unknown") if isinstance(feature, TextFeature) else ("length", "distinct")


def with_vocabularies(loop: LoopSpec, table: pa.Table) -> tuple[LoopSpec, LoopSpec]:
    """The loop.yaml with which the reference `table` is read, and the one with which other rows are compared with it."""
    own, others = {}, {}
    for feature in loop.features:
        if feature.type == "text" and feature.name in table.column_names:
            words, rows = _vocabulary(table[feature.name])
            own[feature.name] = TextFeature.of(feature, words.filter(pa.array(rows >= 2)))
            others[feature.name] = TextFeature.of(feature, words)
    if not own:
        return loop, loop
    first, second = (
        loop.model_copy(update={"features": tuple(known.get(one.name, one) for one in loop.features)})
        for known in (own, others)
    )
    return first, second


def summarise_text(values: pa.ChunkedArray | pa.Array, feature: Feature, summary: TextSummary) -> Floats:
    """One number per row; NaN where the text is missing. A text without words has no unknown ones, and only different ones."""
    texts = _strings(values)
    if summary == "length":
        lengths: Floats = pc.cast(pc.utf8_length(texts), pa.float64()).to_numpy(zero_copy_only=False)
        return lengths
    words = _words(texts)
    total = np.bincount(words.rows, minlength=len(texts))
    if summary == "distinct":
        rows, _ = _pairs(words)
        counted = np.bincount(rows, minlength=len(texts))
    else:
        assert isinstance(feature, TextFeature)
        known = pc.is_in(words.distinct, value_set=feature.vocabulary).to_numpy(zero_copy_only=False)
        counted = np.bincount(words.rows, weights=~known[words.places], minlength=len(texts))
    found = np.where(total > 0, counted / np.maximum(1, total), float(summary == "distinct"))
    found[np.asarray(texts.is_null().to_numpy(zero_copy_only=False))] = np.nan
    return found


def _vocabulary(values: pa.ChunkedArray | pa.Array) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """The most frequent words, and the number of rows that have each."""
    words = _words(_strings(values))
    _, places = _pairs(words)
    rows = np.bincount(places, minlength=len(words.distinct))
    kept = np.sort(np.argsort(-rows, kind="stable")[:MAXIMUM_WORDS])
    return words.distinct.take(pa.array(kept)), rows[kept]


def _strings(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    texts = pc.cast(values, pa.string())
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def _words(texts: pa.Array) -> _Words:
    lists = pc.split_pattern_regex(pc.utf8_lower(texts), pattern=_BETWEEN_WORDS)
    rows, flat = pc.list_parent_indices(lists), pc.list_flatten(lists)
    is_word = pc.not_equal(flat, "")  # before the first word and after the last one
    encoded = flat.filter(is_word).dictionary_encode()
    return _Words(
        rows.filter(is_word).to_numpy(zero_copy_only=False).astype(np.int64),
        encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64),
        encoded.dictionary,
    )


def _pairs(words: _Words) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row and place of each word, once per row."""
    width = max(1, len(words.distinct))
    # np.unique hashes integers, which takes 25 times as long.
    pairs = np.sort(words.rows * width + words.places)
    pairs = pairs[np.append(True, pairs[1:] != pairs[:-1])[: pairs.size]]
    return pairs // width, pairs % width
