"""Ten classes through the whole loop: answers and outcomes are labels, their drift is measured, a better version is served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.short_loop import until
from tests.e2e.ten_classes import MODEL, TenClasses

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(200)]


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[TenClasses]:
    loop = TenClasses(tmp_path)
    loop.start()
    try:
        loop.deploy()
        yield loop
    finally:
        loop.end()


def verdicts_of(loop: TenClasses, generation: int) -> list[dict[str, Any]]:
    return [one for one in reversed(loop.verdicts()) if one["generation"] == generation and one["rows"]]


def test_ten_classes_go_round_the_loop(loop: TenClasses) -> None:
    until(lambda: loop.get("inference", "/status.json")["ready"], 30, "the model is served")
    loop.live(0, 1, turned=False)
    answered = loop.last["predictions"][0]
    assert set(answered) == {"prediction_id", "label", "score", "scores"}
    assert answered["scores"][str(answered["label"])] == answered["score"] == max(answered["scores"].values())
    assert list(answered["scores"]) == [str(digit) for digit in range(10)]

    refused = loop.post("inference", "/outcomes", {"prediction_id": answered["prediction_id"], "value": 10})
    assert (refused.status_code, refused.json()["expected"]) == (422, "one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9")

    loop.live(1, 3, turned=True)
    run = until(lambda: loop.ended_run(), 60, "a run ends")
    assert run["state"] == "promoted", run["reason"]
    reported = run["gate"]["reported"]
    assert reported["champion"]["accuracy"] < 0.3 < 0.8 < reported["challenger"]["accuracy"]
    assert reported["champion"]["macro_f1"] < reported["challenger"]["macro_f1"]
    sound, *turned = verdicts_of(loop, 1)
    assert (sound["state"], sound["drifted"]) == ("ok", [])
    assert all({"prediction", "performance"} <= set(verdict["drifted"]) for verdict in turned)
    [labels] = [score for score in turned[0]["scores"] if score["signal"] == "prediction"]
    assert (labels["method"], labels["exceeded"]) == ("jensenshannon", True)
    assert turned[0]["loss"] > 2 > sound["loss"]

    until(lambda: loop.serves(2), 20, "the new version is served")
    loop.live(4, 2, turned=True)
    [again] = until(lambda: verdicts_of(loop, 2), 40, "the new version is judged")
    assert "performance" not in again["drifted"], again["explanation"]
    compared = until(lambda: loop.comparison(again), 40, "the first version is compared")
    assert compared["served_loss"] < 1 < compared["baseline_loss"]

    why = loop.homeostat("why", answered["prediction_id"])
    row = why["prediction"]
    assert (row["label"], row["scores"]) == (answered["label"], pytest.approx(answered["scores"]))
    assert isinstance(row["outcome"], int)
    assert why["version"]["model"] == MODEL
