"""Counts of a vocabulary's terms in texts, as ONNX nodes.

Texts are counted one by one (Scan): a batch is as large as its texts, and one long text does not make every row as long. Steps of
one text:

1. lower-case it (StringNormalizer)   2. split it into tokens: words or characters   3. count n-grams of the vocabulary
   (TfIdfVectorizer)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper

from homeostat.model_export.text.analyzers import add_characters, add_word_characters, add_words
from homeostat.model_export.text.body import Body
from homeostat.model_export.text.token_pattern import TokenPattern

# Both are on every machine with glibc; the second also knows letters that are not of ASCII.
ASCII_LOCALE, UNICODE_LOCALE = "C", "C.UTF-8"
_FINAL_SIGMA, _SIGMA = "ς", "σ"
_MAX_SIGMAS = 4


@dataclass(frozen=True)
class TermCounts:
    """What is counted: `terms` maps each term, a sequence of tokens, to its place among `width` counts.

    `tokens`: words of a pattern, or characters as scikit-learn's analyzers `char` and `char_wb` take them.
    """

    terms: Mapping[tuple[str, ...], int]
    width: int
    tokens: TokenPattern | Literal["char", "char_wb"]
    lowercase: bool
    stop_words: frozenset[str] = frozenset()

    def scan(self) -> onnx.NodeProto:
        """A node with the input `texts`, string [N], and the output `counts`, float [N, width]."""
        return helper.make_node("Scan", ["texts"], ["counts"], body=self._body(), num_scan_inputs=1)

    def _body(self) -> onnx.GraphProto:
        body = Body()
        text = body.node("Reshape", ["text", body.constant(np.array([-1], dtype=np.int64))])
        if self.lowercase:
            text = body.node(
                "StringNormalizer",
                [text],
                case_change_action="LOWER",
                is_case_sensitive=1,
                locale=self._locale(),
            )
        tokens = self._tokens(body, text)
        terms = self._with_final_sigma()
        if not terms:
            raise ValueError("a vocabulary has at least one term")
        body.node("TfIdfVectorizer", [tokens], name="row", mode="TF", max_skip_count=0, **_pool(terms))
        return helper.make_graph(
            body.nodes,
            "one_text",
            [helper.make_tensor_value_info("text", TensorProto.STRING, [])],
            [helper.make_tensor_value_info("row", TensorProto.FLOAT, [self.width])],
            body.constants,
        )

    def _tokens(self, body: Body, text: str) -> str:
        if isinstance(self.tokens, TokenPattern):
            return add_words(body, text, self.tokens, self.stop_words)
        return add_characters(body, text) if self.tokens == "char" else add_word_characters(body, text)

    def _locale(self) -> str:
        """The locale of lower-casing. Words that are not of ASCII matter only if a term or a stop word has such letters."""
        texts = [*(token for term in self.terms for token in term), *self.stop_words]
        cased = any(not char.isascii() and char.upper() != char for text in texts for char in text)
        return UNICODE_LOCALE if cased else ASCII_LOCALE

    def _with_final_sigma(self) -> dict[tuple[str, ...], int]:
        """The terms, and those with a final sigma also with the other one, as StringNormalizer writes a capital everywhere."""
        terms = dict(self.terms)
        if self.lowercase and isinstance(self.tokens, TokenPattern):
            for term, place in self.terms.items():
                for other in product(*map(_with_sigma, term)):
                    terms.setdefault(other, place)
        return terms


def _with_sigma(token: str) -> list[str]:
    """The token, and the token with any of its final sigmas as the other one; of many sigmas all at once."""
    if token.count(_FINAL_SIGMA) > _MAX_SIGMAS:
        return [token, token.replace(_FINAL_SIGMA, _SIGMA)]
    choices = [(char, _SIGMA) if char == _FINAL_SIGMA else (char,) for char in token]
    return ["".join(one) for one in product(*choices)]


def _pool(terms: Mapping[tuple[str, ...], int]) -> dict[str, Any]:
    """The attributes of TfIdfVectorizer: the terms ordered by their length, and where each length begins."""
    longest = max(map(len, terms))
    ordered = sorted(terms, key=len)
    starts, tokens = [], [token for term in ordered for token in term]
    for length in range(1, longest + 1):
        starts.append(sum(len(term) for term in ordered if len(term) < length))
    return {
        "min_gram_length": min(map(len, terms)),
        "max_gram_length": longest,
        "ngram_counts": starts,
        "ngram_indexes": [terms[term] for term in ordered],
        "pool_strings": tokens,
    }
