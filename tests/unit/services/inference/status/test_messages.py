from __future__ import annotations

from typing import Any

import pytest

from services.inference.status.messages import find_notices

WELL: dict[str, Any] = {
    "ready": True,
    "models": [{"name": "toy", "version": "ab", "generation": 3, "last_error": ""}],
    "requests": {"last_prediction_at": "2026-01-01T00:00:00+00:00"},
    "release_log": {
        "last_error": "",
        "seconds_since_read": 0.1,
        "models": ["toy"],
        "followed": ["toy"],
    },
    "spool": {"dropped": {}, "last_error": ""},
}


def log(**changes: object) -> dict[str, object]:
    return {**WELL["release_log"], **changes}


def told(**changes: object) -> list[tuple[str, str]]:
    return [(notice["level"], notice["text"]) for notice in find_notices({**WELL, **changes})]


def test_there_is_nothing_to_say_while_all_is_well() -> None:
    assert told() == []


def test_a_server_nobody_asked_says_so() -> None:
    assert told(requests={"last_prediction_at": ""}) == [
        ("info", "No prediction yet since this server started: POST /predict asks for the first one.")
    ]


@pytest.mark.parametrize(
    ("release_log", "level", "text"),
    [
        (log(models=[], followed=[]), "info", "No model is released yet: `homeostat deploy`"),
        (log(), "info", "toy is being loaded."),
        (log(models=["a", "b"], followed=["a", "b"]), "info", "a, b are being loaded."),
        (log(followed=[]), "problem", "The release log has toy, and HOMEOSTAT_INFERENCE_MODELS names none of them."),
        (
            log(last_error="not read yet", seconds_since_read=None, models=[], followed=[]),
            "info",
            "The release log is being read for the first time.",
        ),
        (
            log(last_error="no such bucket", seconds_since_read=None, models=[], followed=[]),
            "problem",
            "No model is served, because the release log cannot be read: no such bucket. HOMEOSTAT_MODEL_STORE",
        ),
    ],
)  # fmt: skip
def test_an_empty_server_says_why(release_log: dict[str, object], level: str, text: str) -> None:
    [(found, sentence)] = told(ready=False, models=[], release_log=release_log)
    assert found == level
    assert sentence.startswith(text)


def test_a_store_that_went_away_is_told_from_one_that_never_was_there() -> None:
    [(level, text)] = told(release_log=log(last_error="timed out", seconds_since_read=90.0))
    assert (level, text) == (
        "problem",
        "The release log cannot be read: timed out. What is served stays served; new releases are not seen.",
    )


@pytest.mark.parametrize(
    ("version", "rest"),
    [("ab", "Generation 3 serves on."), ("", "No version of this model is served.")],
)
def test_a_release_that_cannot_be_loaded_is_told_with_what_serves_instead(version: str, rest: str) -> None:
    model = {"name": "toy", "version": version, "generation": 3, "last_error": "another digest"}
    [(level, text)] = told(models=[model])
    assert level == "problem"
    assert text.startswith(f"The newest release of toy cannot be served: another digest. {rest} It is tried")


@pytest.mark.parametrize(
    ("spool", "text"),
    [
        ({"dropped": {"predictions": {"toy": 1}}, "last_error": ""}, "1 row was answered but not logged."),
        (
            {"dropped": {"predictions": {"toy": 2}, "outcomes": {"toy": 1}}, "last_error": "disk full"},
            "3 rows were answered but not logged: disk full.",
        ),
        ({"dropped": {}, "last_error": "disk full"}, "The spool does not work: disk full."),
    ],
)
def test_rows_that_are_not_kept_are_told(spool: dict[str, object], text: str) -> None:
    [(level, sentence)] = told(spool=spool)
    assert level == "problem"
    assert sentence.startswith(f"{text} See that the shipper runs")
