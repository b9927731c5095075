"""A model of short reviews: text, a category without a list, and an integer that may be missing. Turned: good is bad."""

from __future__ import annotations

from typing import Any

from tests.e2e.hourly_loop import HourlyLoop, Row

WORDS = ("good", "quiet", "warm", "bad", "loud", "cold", "the", "room", "was", "and")
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

# Logistic regression on counts of words, with ONNX's standard operators: StringSplit is one since operator set 20.
TRAINER = """
import json, os
from pathlib import Path
import numpy as np
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper, save

WORDS = ["good", "quiet", "warm", "bad", "loud", "cold", "the", "room", "was", "and"]
rows = pq.read_table(os.environ["HOMEOSTAT_TRAIN"])
split = [text.split(" ") for text in rows["review"].to_pylist()]
counts = np.array([[words.count(word) for word in WORDS] for words in split], np.float64)
stars = np.array([3.0 if star is None else star for star in rows["stars"].to_pylist()])
x = np.column_stack([counts, stars - 3, np.ones(len(counts))])
y = rows["outcome"].to_numpy()
weights = np.zeros(x.shape[1])
for _ in range(400):
    p = 1 / (1 + np.exp(-x @ weights))
    weights -= 0.5 * (x.T @ (p - y) / len(x) + 1e-3 * weights)

def number(name, *values, shape=None):
    return numpy_helper.from_array(np.array(values, np.float32).reshape(shape or ()), name)

size = len(WORDS)
constants = [
    number("by_word", *weights[:size], shape=(size, 1)),
    number("by_star", weights[size]),
    number("bias", weights[size + 1]),
    number("three", 3.0),
    number("zero", 0.0),
    numpy_helper.from_array(np.array([-1]), "flat"),
]
nodes = [
    helper.make_node("StringSplit", ["review"], ["words", "lengths"], delimiter=" "),
    helper.make_node(
        "TfIdfVectorizer", ["words"], ["counts"], mode="TF", min_gram_length=1, max_gram_length=1, max_skip_count=0,
        pool_strings=WORDS, ngram_counts=[0], ngram_indexes=list(range(size)),
    ),
    helper.make_node("MatMul", ["counts", "by_word"], ["column"]),
    helper.make_node("Reshape", ["column", "flat"], ["of_words"]),
    helper.make_node("IsNaN", ["stars"], ["unrated"]),
    helper.make_node("Where", ["unrated", "three", "stars"], ["known_stars"]),
    helper.make_node("Sub", ["known_stars", "three"], ["centred"]),
    helper.make_node("Mul", ["centred", "by_star"], ["of_stars"]),
    helper.make_node("RegexFullMatch", ["town"], ["is_town"], pattern=".*"),
    helper.make_node("Where", ["is_town", "zero", "zero"], ["of_town"]),
    helper.make_node("Sum", ["of_words", "of_stars", "of_town", "bias"], ["logit"]),
    helper.make_node("Sigmoid", ["logit"], ["score"]),
]
inputs = [
    helper.make_tensor_value_info("review", TensorProto.STRING, ["n"]),
    helper.make_tensor_value_info("town", TensorProto.STRING, ["n"]),
    helper.make_tensor_value_info("stars", TensorProto.FLOAT, ["n"]),
]
outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"])]
graph = helper.make_graph(nodes, "reviews", inputs, outputs, constants)
out = Path(os.environ["HOMEOSTAT_OUT"])
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), str(out / "model.onnx"))
p = np.clip(p, 1e-7, 1 - 1e-7)
loss = float(-(y * np.log(p) + (1 - y) * np.log1p(-p)).mean())
(out / "metrics.json").write_text(json.dumps({"log_loss": loss}))
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
