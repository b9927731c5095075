"""Splits one text into tokens as scikit-learn's analyzers do, as ONNX nodes. Each function returns the tokens, string [T].

The work is done by onnxruntime's operator Tokenizer: it returns the matches of a regular expression (RE2) from left to right,
each as long as possible, without the text between them.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from homeostat.model_export.text.body import Body
from homeostat.model_export.text.token_pattern import TokenPattern, translate

TOKENIZER_DOMAIN = "com.microsoft"
_SPACE = " "
# Between two words it keeps an n-gram from spanning both: no term has it.
_BREAK = ""


def add_words(body: Body, text: str, pattern: TokenPattern, stop_words: frozenset[str]) -> str:
    """Analyzer `word`: the matches of the pattern without the stop words."""
    tokens = _matches(body, text, pattern.find)
    if pattern.keep:
        tokens = body.node("Compress", [tokens, _is_match(body, tokens, pattern.keep)], axis=0)
    if stop_words:
        words = sorted(stop_words)
        coded = body.node(
            "LabelEncoder",
            [tokens],
            domain="ai.onnx.ml",
            keys_strings=words,
            values_int64s=[0] * len(words),
            default_int64=1,
        )
        tokens = body.node("Compress", [tokens, body.node("Cast", [coded], to=TensorProto.BOOL)], axis=0)
    return tokens


def add_characters(body: Body, text: str) -> str:
    """Analyzer `char`: every character; two or more of white space are one space."""
    spaces = translate(r"\s\s+").find
    characters = _matches(body, text, rf"{spaces}|[\x{{0}}-\x{{10ffff}}]")
    return body.node("Where", [_is_match(body, characters, spaces), body.constant([_SPACE]), characters])


def add_word_characters(body: Body, text: str) -> str:
    """Analyzer `char_wb`: the characters of each word with a space before and after it; no n-gram spans two words.

    Words are what white space separates. With `_` for a space and `|` for a break, "ab  c" becomes `_ a b _ | _ c _`.
    """
    stripped = _matches(body, text, translate(r"\S(?:[\s\S]*\S)?").find)
    spaces = translate(r"\s+").find
    others = translate(r"\S").find
    characters = _matches(body, stripped, f"{spaces}|{others}")
    is_space = _is_match(body, characters, spaces)
    axis = body.constant(np.array([1], dtype=np.int64))
    shape = body.node("Shape", [body.node("Unsqueeze", [characters, axis])])
    column = body.node("Unsqueeze", [is_space, axis])
    first = body.node("Where", [is_space, body.constant([_SPACE]), characters])
    # Three places for each character; those after the first are kept after a space only.
    places = [
        body.node("Unsqueeze", [first, axis]),
        body.node("Expand", [body.constant([_BREAK]), shape]),
        body.node("Expand", [body.constant([_SPACE]), shape]),
    ]
    always = body.node("Expand", [body.constant(np.array([True])), shape])
    flat = body.constant(np.array([-1], dtype=np.int64))
    tokens = body.node("Reshape", [body.node("Concat", places, axis=1), flat])
    kept = body.node("Reshape", [body.node("Concat", [always, column, column], axis=1), flat])
    inside = body.node("Compress", [tokens, kept], axis=0)
    # None where the text has no word.
    edge = body.node("Expand", [body.constant([_SPACE]), body.node("Shape", [stripped])])
    return body.node("Concat", [edge, inside, edge], axis=0)


def _matches(body: Body, text: str, expression: str) -> str:
    found = body.node(
        "Tokenizer",
        [text],
        domain=TOKENIZER_DOMAIN,
        mark=0,
        mincharnum=1,
        pad_value="",
        tokenexp=expression,
    )
    return body.node("Reshape", [found, body.constant(np.array([-1], dtype=np.int64))])


def _is_match(body: Body, tokens: str, expression: str) -> str:
    return body.node("RegexFullMatch", [tokens], pattern=expression)
