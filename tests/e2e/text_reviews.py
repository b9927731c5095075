"""A model of short reviews, exported by `homeostat.export`: text, a category without a list, and an integer that may be missing.
Turned: good is bad."""

from __future__ import annotations

from typing import Any

from tests.e2e.hourly_loop import HourlyLoop, Row

WORDS = ("Good", "quiet,", "WÄRM", "bad", "loud!", "cold", "the", "room", "was", "and")
TOWNS = ("Bern", "Basel", "Chur")

LOOP = """
model: reviews
description: Will the guest come again?
features:
  - {name: review, type: text}
  - {name: town, type: category, unknown: serve}
  - {name: stars, type: integer, nullable: true, minimum: 1, maximum: 5}
prediction: {kind: probability}
"""

TRAINER = """
import os
import homeostat
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

rows = pd.read_parquet(os.environ["HOMEOSTAT_TRAIN"]).astype({"stars": "float64"})
columns = make_column_transformer(
    (TfidfVectorizer(ngram_range=(1, 2)), "review"),
    (OneHotEncoder(handle_unknown="ignore"), ["town"]),
    (SimpleImputer(), ["stars"]),
)
model = make_pipeline(columns, LogisticRegression(C=100)).fit(rows, rows["outcome"])
homeostat.export(model, rows, os.environ["HOMEOSTAT_OUT"], name="reviews")
"""


class TextReviews(HourlyLoop):
    """Reviews of eight words; a guest comes again if more good than bad ones are among them."""

    model = "reviews"
    spec = LOOP
    trainer = TRAINER

    def rows(self, count: int, *, turned: bool) -> tuple[list[Row], list[Any]]:
        """Reviews, and whether the guest came again. Turned: they come for the bad words, from a town never seen before."""
        rows, outcomes = [], []
        for words in self.random.choice(WORDS, (count, 8)).tolist():
            stars = int(self.random.integers(0, 6))
            balance = sum(word in WORDS[:3] for word in words) - sum(word in WORDS[3:6] for word in words)
            again = balance + self.random.normal(scale=0.5) > 0
            town = "Ürgüp" if turned else str(self.random.choice(TOWNS))
            rows.append({"review": " ".join(words), "town": town, "stars": stars or None})
            outcomes.append(int(again != turned))
        return rows, outcomes
