from __future__ import annotations

from typing import Any

import pytest

from services.inference.status.messages import find_messages

WELL: dict[str, Any] = {
    "ready": True,
    "models": [{"name": "toy", "version": "ab", "generation": 3, "last_error": "", "demand_load_error": ""}],
    "worker": 1,
    "workers": [{"worker": 1, "release_errors": {}}],
    "model_memory": {
        "bound_bytes": None,
        "loads_last_minute": 0,
        "load_seconds_last_minute": 0.0,
        "loaded": 1,
    },
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


def messages(**changes: object) -> list[tuple[str, str]]:
    return [(message["level"], message["text"]) for message in find_messages({**WELL, **changes})]


def test_no_messages_without_problems() -> None:
    assert messages() == []


def test_no_prediction_yet() -> None:
    assert messages(requests={"last_prediction_at": ""}) == [
        ("info", "No prediction yet since this server started. Send the first one with POST /predict.")
    ]


@pytest.mark.parametrize(
    ("release_log", "level", "text"),
    [
        (log(models=[], followed=[]), "info", "No model is released yet. Release one with `homeostat deploy`."),
        (log(), "info", "toy is being loaded."),
        (log(models=["a", "b"], followed=["a", "b"]), "info", "a, b are being loaded."),
        (log(followed=[]), "problem", "The release log has toy, but HOMEOSTAT_INFERENCE_MODELS lists none of them."),
        (
            log(last_error="not read yet", seconds_since_read=None, models=[], followed=[]),
            "info",
            "The release log is being read for the first time.",
        ),
        (
            log(last_error="no such bucket", seconds_since_read=None, models=[], followed=[]),
            "problem",
            "No model is live: the release log cannot be read: no such bucket. Check HOMEOSTAT_MODEL_STORE.",
        ),
    ],
)  # fmt: skip
def test_reason_why_no_model_is_live(release_log: dict[str, object], level: str, text: str) -> None:
    [(found, sentence)] = messages(ready=False, models=[], release_log=release_log)
    assert found == level
    assert sentence.startswith(text)


def test_release_log_unavailable_later() -> None:
    [(level, text)] = messages(release_log=log(last_error="timed out", seconds_since_read=90.0))
    assert (level, text) == (
        "problem",
        "The release log cannot be read: timed out. Live models stay live; new releases are not detected.",
    )


@pytest.mark.parametrize(
    ("version", "rest"),
    [("ab", "Generation 3 stays live."), ("", "No version of this model is live.")],
)
def test_failed_release_names_live_generation(version: str, rest: str) -> None:
    model = {**WELL["models"][0], "version": version, "last_error": "another digest"}
    [(level, text)] = messages(models=[model])
    assert level == "problem"
    assert text.startswith(
        f"The newest release of toy cannot be loaded: another digest. {rest} Loading is retried"
    )


def test_live_model_that_cannot_be_loaded_again_is_no_failed_release() -> None:
    model = {**WELL["models"][0], "last_error": "another digest", "demand_load_error": "another digest"}
    assert messages(models=[model]) == [
        (
            "problem",
            "Generation 3 of toy is live but not in memory, and cannot be loaded: another digest. The next requests for it "
            "try again.",
        )
    ]


def test_failed_release_of_another_worker_is_reported_once() -> None:
    workers = [{"worker": number, "release_errors": {"toy": "no memory"}} for number in (1, 2)]
    [(level, text)] = messages(workers=workers)
    assert level == "problem"
    assert text.startswith("Worker 2 cannot load the newest release of toy: no memory.")
    failed = [{**WELL["models"][0], "last_error": "no memory"}]
    [(_, text)] = messages(workers=workers, models=failed)
    assert text.startswith("The newest release of toy cannot be loaded: no memory.")


@pytest.mark.parametrize(
    ("spool", "text"),
    [
        ({"dropped": {"predictions": {"toy": 1}}, "last_error": ""}, "1 row was not logged."),
        (
            {"dropped": {"predictions": {"toy": 2}, "outcomes": {"toy": 1}}, "last_error": "disk full"},
            "3 rows were not logged: disk full.",
        ),
        ({"dropped": {}, "last_error": "disk full"}, "The spool cannot be written: disk full."),
    ],
)
def test_dropped_rows_are_reported(spool: dict[str, object], text: str) -> None:
    [(level, sentence)] = messages(spool=spool)
    assert level == "problem"
    assert sentence.startswith(f"{text} Check the shipper")


def test_models_that_do_not_fit_together_are_a_problem() -> None:
    memory = {"bound_bytes": 1 << 20, "loads_last_minute": 10, "load_seconds_last_minute": 30.0, "loaded": 5}
    assert messages(model_memory=memory) == []
    [(level, text)] = messages(model_memory=memory | {"load_seconds_last_minute": 31.0})
    assert level == "problem"
    assert text.startswith(
        "In the last minute, 10 models were loaded on demand, which took 31 s in all; 5 are in memory"
    )
    assert messages(model_memory=memory | {"bound_bytes": None, "load_seconds_last_minute": 31.0}) == []
