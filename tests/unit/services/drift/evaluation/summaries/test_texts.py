from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from services.drift.evaluation.columns import columns_of, rows_from_table
from services.drift.evaluation.reference_profile import build_reference
from services.drift.evaluation.summaries import texts
from services.drift.evaluation.summaries.texts import TextFeature, summarise_text, with_vocabularies
from services.drift.stream.alarm import Alarm
from services.drift.stream.detector import StreamDetector
from services.drift.stream.stream_profile import StreamProfile
from shared.contracts.feature import Feature
from shared.contracts.loop_spec import LoopSpec
from tests.unit.services.drift.world import loop, ordinary

TEXT = Feature(name="t", type="text")


def known(*words: str) -> TextFeature:
    return TextFeature.of(TEXT, pa.array(words, pa.string()))


def spec() -> LoopSpec:
    return loop(features=[{"name": "t", "type": "text", "nullable": True}])


def table(rows: int, seed: int, words: int = 3000, new: float = 0.0) -> pa.Table:
    """Texts of ten words by Zipf's law; a share `new` of them are of another language."""
    random = np.random.default_rng(seed)
    chosen = np.minimum(random.zipf(1.4, (rows, 10)), words)
    strange = random.random((rows, 10)) < new
    lines = [
        " ".join(f"neu{word}" if other else f"w{word}" for word, other in zip(row, others, strict=True))
        for row, others in zip(chosen, strange, strict=True)
    ]
    columns = {name: values for name, values in ordinary(rows, seed).items() if name not in ("x", "c")}
    return pa.table({**columns, "t": lines})


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        ("length", [13, 0, np.nan, 9, 3]),
        ("distinct", [2 / 3, 1, np.nan, 1, 1]),
        ("unknown", [1 / 3, 0, np.nan, 0.5, 0]),
    ],
)
def test_words_are_letters_and_digits_in_lower_case(
    summary: texts.TextSummary, expected: list[float]
) -> None:
    values = pa.chunked_array([["Käse, käse 42", ""], [None, " ab\n(cde)", "!?."]])
    found = summarise_text(values, known("käse", "ab"), summary)
    np.testing.assert_allclose(found, expected)


def test_words_of_a_reference_row_are_known_by_other_rows() -> None:
    """Else the reference would have no unknown word, and every new row would."""
    reference = pa.table({"t": ["alpha beta", "beta gamma", "gamma gamma delta"]})
    own, others = with_vocabularies(spec(), reference)
    [first], [second] = own.features, others.features
    assert isinstance(first, TextFeature)
    assert isinstance(second, TextFeature)
    assert sorted(first.vocabulary.to_pylist()) == ["beta", "gamma"]
    assert sorted(second.vocabulary.to_pylist()) == ["alpha", "beta", "delta", "gamma"]
    np.testing.assert_allclose(summarise_text(reference["t"], first, "unknown"), [0.5, 0, 1 / 3])


def test_rarest_words_are_left_out_of_a_large_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "MAXIMUM_WORDS", 2)
    _, others = with_vocabularies(spec(), pa.table({"t": ["a b", "b c", "c a c", "c d"]}))
    [feature] = others.features
    assert isinstance(feature, TextFeature)
    assert sorted(feature.vocabulary.to_pylist()) == ["a", "c"]


def test_loop_without_texts_is_unchanged() -> None:
    assert with_vocabularies(loop(), pa.table({"x": [1.0]})) == (loop(), loop())


def test_new_words_are_found_by_the_stream_and_rows_like_the_reference_raise_nothing() -> None:
    own, others = with_vocabularies(spec(), reference := table(4000, 1))
    rows = rows_from_table(reference, own)
    same = rows_from_table(table(2000, 2), others)
    assert same.columns["t.unknown"].mean() == pytest.approx(rows.columns["t.unknown"].mean(), rel=0.15)
    profile = StreamProfile.of(build_reference("0" * 64, others, rows), 1.0)
    assert [column.name for column in profile.layout.columns][:3] == [
        f"t.{one.summary}" for one in columns_of(others)
    ]
    alarms: dict[str, list[Alarm]] = {}
    for name, new in (("same", 0.0), ("new", 0.2)):
        found = rows_from_table(table(1500, 3, new=new), others)
        detector = StreamDetector(profile)
        alarms[name] = [
            alarm
            for first in range(0, 1500, 50)
            for alarm in detector.step(profile.layout.count(found.take(np.arange(first, first + 50))))
        ]
    assert alarms["same"] == []
    assert alarms["new"]
    assert alarms["new"][0].blamed[0].column == "t.unknown"
