"""Kinds of models through the whole loop on one stack: ten classes with labels, and texts with an open category.

Answers and outcomes are as the kind has them, their drift is measured, and a better version is trained and served.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.short_loop import ShortLoop, until
from tests.e2e.ten_classes import TenClasses
from tests.e2e.text_reviews import TextReviews

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a running stack without models."""
    folder = tmp_path_factory.mktemp("kinds")
    stack = ShortLoop(folder)
    stack.start()
    try:
        yield folder
    finally:
        stack.end()


def test_ten_classes_go_round_the_loop(stack: Path) -> None:
    loop = TenClasses(stack)
    loop.deploy()
    until(lambda: loop.serves(1), 30, "the model is served")
    loop.live(0, 1, turned=False)
    answered = loop.last["predictions"][0]
    assert set(answered) == {"prediction_id", "label", "score", "scores"}
    assert answered["scores"][str(answered["label"])] == answered["score"] == max(answered["scores"].values())
    assert list(answered["scores"]) == [str(digit) for digit in range(10)]

    refused = loop.post("inference", "/outcomes", {"prediction_id": answered["prediction_id"], "value": 10})
    assert (refused.status_code, refused.json()["expected"]) == (422, "one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9")

    loop.live(1, 3, turned=True)
    run = until(loop.ended_run, 60, "a run ends")
    assert run["state"] == "promoted", run["reason"]
    reported = run["gate"]["reported"]
    assert reported["champion"]["accuracy"] < 0.3 < 0.8 < reported["challenger"]["accuracy"]
    assert reported["champion"]["macro_f1"] < reported["challenger"]["macro_f1"]
    sound, *turned = loop.verdicts_of(1)
    assert (sound["state"], sound["drifted"]) == ("ok", [])
    assert all({"prediction", "performance"} <= set(verdict["drifted"]) for verdict in turned)
    [labels] = [score for score in turned[0]["scores"] if score["signal"] == "prediction"]
    assert (labels["method"], labels["exceeded"]) == ("jensenshannon", True)
    assert turned[0]["loss"] > 2 > sound["loss"]

    until(lambda: loop.serves(2), 20, "the new version is served")
    loop.live(4, 2, turned=True)
    [again] = until(lambda: loop.verdicts_of(2), 40, "the new version is judged")
    assert "performance" not in again["drifted"], again["explanation"]
    compared = until(lambda: loop.comparison(again), 40, "the first version is compared")
    assert compared["served_loss"] < 1 < compared["baseline_loss"]

    why = loop.homeostat("why", answered["prediction_id"])
    row = why["prediction"]
    assert (row["label"], row["scores"]) == (answered["label"], pytest.approx(answered["scores"]))
    assert isinstance(row["outcome"], int)
    assert why["version"]["model"] == loop.model


def test_texts_go_round_the_loop(stack: Path) -> None:
    loop = TextReviews(stack)
    loop.deploy()
    until(lambda: loop.serves(1), 30, "the model is served")
    loop.live(0, 1, turned=False)
    loop.live(1, 3, turned=True)
    run = until(loop.ended_run, 60, "a run ends")
    assert run["state"] == "promoted", run["reason"]
    sound, *turned = loop.verdicts_of(1)
    assert (sound["state"], sound["drifted"]) == ("ok", [])
    assert {score["method"] for score in sound["scores"] if score["feature"] == "review"} >= {
        "wasserstein.length",
        "missing_share.length",
    }
    # A town that the reference lacks is drift, and its rows are served; it is no data fault.
    assert all(verdict["state"] == "drift" for verdict in turned)
    assert all({"feature", "performance"} <= set(verdict["drifted"]) for verdict in turned)
    assert turned[0]["top_drifted_features"] == ["town"]

    until(lambda: loop.serves(2), 20, "the new version is served")
    loop.live(4, 2, turned=True)
    [again] = until(lambda: loop.verdicts_of(2), 40, "the new version is judged")
    assert "performance" not in again["drifted"], again["explanation"]
    assert again["loss"] < sound["loss"] + 0.2 < turned[0]["loss"]
    answered = loop.last["predictions"][0]
    why = loop.homeostat("why", answered["prediction_id"])
    assert why["prediction"]["score"] == pytest.approx(answered["score"])
    assert why["version"]["origin"]["kind"] == "run"
