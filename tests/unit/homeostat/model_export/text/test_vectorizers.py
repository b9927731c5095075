"""Counts of the exported vectorizers are those of scikit-learn, for texts of all sorts."""

from __future__ import annotations

import resource
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from homeostat.model_export.text.vectorizers import check_vectorizers, term_counts, text_columns
from shared.errors import ExportRefused
from tests.unit.homeostat.model_export.text.counting import counter

WORDS = (
    *("the", "Room", "is", "COLD", "a", "b", "2nd", "don't", "x1_y", "ok"),
    *("Été", "ÉTÉ", "größe", "GRÖSSE", "é", "ñandú", "e\u0301lan"),
    *("Привет", "мир", "ΛΟΓΟΣ", "λόγος", "中文", "😀👍🏽"),
)
SPACES = (" ", "  ", "\n", "\t \t", "\u00a0", "\u2003\u3000", ", ", "-", "_", "!? ", "\x1c", "\x00", ". ")


def hostile_texts(count: int) -> list[str]:
    """Words and separators of many scripts, single code points of all planes, and nothing."""
    random = np.random.default_rng(7)
    texts = ["", " ", "\n\t", "!", "a", " the", "the ", "THE ROOM"]
    for _ in range(count):
        pieces = random.choice(np.array(WORDS, dtype=object), random.integers(1, 9)).tolist()
        text = "".join(piece + str(random.choice(np.array(SPACES, dtype=object))) for piece in pieces)
        codes = random.integers(0, 0x11000 if random.random() < 0.9 else 0x110000, random.integers(0, 6))
        strange = "".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000)
        texts.append(strange + text[:: random.choice([1, 1, 1, -1])])
    # A dotted capital I becomes two characters in lower case, which StringNormalizer does not know.
    return [text.replace("\u0130", "I") for text in texts]


TEXTS = hostile_texts(500)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lowercase": False},
        {"ngram_range": (1, 3), "max_features": 500},
        {"ngram_range": (2, 2), "stop_words": "english"},
        {"ngram_range": (1, 2), "stop_words": ["room", "привет"]},
        {"token_pattern": r"\S+"},
        {"token_pattern": r"(?u)\b\w+\b", "ngram_range": (1, 2)},
        {"token_pattern": r"(?u)\b[a-z]+\b", "ngram_range": (1, 2)},
        {"token_pattern": r"[\w']{2,}", "lowercase": False},
        {"token_pattern": r"\w+|[^\w\s]", "ngram_range": (1, 2)},
        {"vocabulary": ["the room", "room", "cold"], "ngram_range": (1, 2)},
        {"vocabulary": ["the", "cold"], "stop_words": ["the"]},
        {"analyzer": "char", "ngram_range": (1, 3), "max_features": 900},
        {"analyzer": "char", "lowercase": False, "ngram_range": (2, 2)},
        {"analyzer": "char_wb", "ngram_range": (1, 4), "max_features": 900},
        {"analyzer": "char_wb", "ngram_range": (5, 6)},
    ],
    ids=str,
)
def test_counts_are_those_of_scikit_learn(options: dict[str, Any]) -> None:
    # Python's lower case of a final sigma depends on its place, which single characters do not show.
    texts = [text.replace("Σ", "S") for text in TEXTS] if options.get("analyzer") else TEXTS
    vectorizer = CountVectorizer(**options).fit(texts[:250])
    expected = vectorizer.transform(texts).toarray()
    assert expected[250:].any()
    np.testing.assert_array_equal(counter(term_counts(vectorizer))(texts), expected)


def test_a_batch_needs_the_memory_of_its_texts() -> None:
    """Padded to the longest text, as Tokenizer does with a batch, these rows would take 8 GiB."""
    vectorizer = CountVectorizer().fit(["good room"])
    count = counter(term_counts(vectorizer))
    long = "good " * 250_000
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    counts = count([long] + ["room"] * 1000)
    assert counts[0].tolist() == [250_000, 0]
    assert counts[1:].sum() == 1000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000
    assert time.monotonic() - start < 10
    assert count([""] * 50).sum() == 0


@pytest.mark.parametrize("analyzer", ["char", "char_wb"])
def test_characters_of_a_long_text_are_counted(analyzer: str) -> None:
    vectorizer = CountVectorizer(analyzer=analyzer, ngram_range=(2, 3)).fit(["good room"])
    texts = ["good room " * 10_000, "x" * 100_000, ""]
    expected = vectorizer.transform(texts).toarray()
    np.testing.assert_array_equal(counter(term_counts(vectorizer))(texts), expected)


def shout(text: str) -> str:
    return text.upper()


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (TfidfVectorizer(tokenizer=str.split), "TfidfVectorizer has tokenizer=split, a function"),
        (CountVectorizer(preprocessor=shout), "CountVectorizer has preprocessor=shout"),
        (CountVectorizer(analyzer=str.split), "CountVectorizer has analyzer=split"),
        (CountVectorizer(strip_accents="unicode"), "has strip_accents='unicode'"),
        (CountVectorizer(input="filename"), "has input='filename'"),
        (HashingVectorizer(), "HashingVectorizer has no exact form"),
        (CountVectorizer(token_pattern=r"(\w+)"), "token_pattern"),
    ],
)
def test_what_has_no_exact_form_is_named(step: Any, message: str) -> None:
    with pytest.raises(ExportRefused, match=message) as refused:
        check_vectorizers(make_pipeline(FeatureUnion([("words", step)]), LogisticRegression()))
    assert "fit " in refused.value.hint


def test_terms_must_be_clear() -> None:
    vectorizer = CountVectorizer(token_pattern=r"[^,]+", ngram_range=(1, 2)).fit(["new york,is far"])
    with pytest.raises(ExportRefused, match="the term 'new york is far' of the vocabulary has 4 words"):
        term_counts(vectorizer)


def test_columns_of_texts_are_found() -> None:
    columns = ColumnTransformer(
        [("words", make_pipeline(TfidfVectorizer()), "review"), ("number", StandardScaler(), ["stars"])]
    )
    pipeline = Pipeline([("columns", columns), ("model", LogisticRegression())])
    rows = pd.DataFrame({"review": ["good room", "bad room"], "stars": [1, 5]})
    assert text_columns(pipeline.fit(rows, [0, 1])) == frozenset({"review"})
    assert text_columns(make_pipeline(FeatureUnion([("a", CountVectorizer())]), LogisticRegression())) is None
    assert text_columns(LogisticRegression()) == frozenset()
