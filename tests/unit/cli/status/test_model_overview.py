"""One record per model, from three services."""

from __future__ import annotations

from typing import Any

from cli.status.model_overview import ModelOverview, merge, read_overview
from local_stack.addresses import Addresses
from tests.unit.cli.fake_service import fake_service

SERVED = [{"name": "b", "version": "v2", "generation": 7}, {"name": "a", "version": "v1", "generation": 1}]
VERDICTS: list[dict[str, Any]] = [
    {
        "model": "a",
        "state": "drift",
        "window_end": "2013-02-08",
        "explanation": "dest drifted",
        "generation": 1,
    },
    {"model": "a", "state": "ok", "window_end": "2013-02-01"},
]
CLOCKS = [
    {
        "model": "a",
        "state": "drift",
        "inputs": {"state": "drift"},
        "performance": {"state": "not_judged"},
        "outcomes": {"summary": "no outcomes since 2013-02-01"},
        "stream": {"last_verdict": {"state": "data_fault", "window_end": "2013-02-07T09:30:00Z"}},
    }
]
LOSSES = [{"name": "a", "served_loss": 0.51, "baseline_loss": 0.57, "metric": "log_loss"}]


def test_newest_verdict_and_losses_join_the_served_version() -> None:
    assert merge(SERVED, VERDICTS, LOSSES, CLOCKS) == (
        ModelOverview(
            *("a", "v1", 1, "drift", "2013-02-08", "dest drifted", 0.51, 0.57, "log_loss", "", 1),
            *("drift", "drift", "not_judged", "no outcomes since 2013-02-01"),
            *("data_fault", "2013-02-07T09:30:00Z"),
        ),
        ModelOverview("b", "v2", 7),
    )


def test_canary_and_shadow_are_named_with_their_share() -> None:
    canary = {"slot": "canary", "version": "c" * 64, "share": 0.125, "last_error": ""}
    shadow = {"slot": "shadow", "version": "", "share": 0.0, "last_error": "no graph"}
    [model] = merge([{"name": "a", "version": "v1", "sides": [canary, shadow]}], [], [], [])
    assert model.sides == "canary cccccccccccc 12.5%, shadow cannot be loaded"


def test_empty_window_does_not_hide_the_last_verdict() -> None:
    empty = {"model": "a", "state": "insufficient_data", "window_end": "2013-02-15", "rows": 0}
    [model, _] = merge(SERVED, [empty, VERDICTS[0] | {"rows": 70}], [], [])
    assert (model.verdict, model.window_end, model.empty_until) == ("drift", "2013-02-08", "2013-02-15")


def test_only_empty_windows_are_insufficient_data() -> None:
    empty = {"model": "a", "state": "insufficient_data", "window_end": "2013-02-15", "rows": 0}
    [model, _] = merge(SERVED, [empty], [], [])
    assert (model.verdict, model.empty_until) == ("insufficient_data", "")


def test_requested_evaluation_of_an_earlier_empty_window_is_no_later_one() -> None:
    empty = {"model": "a", "state": "insufficient_data", "window_end": "2013-01-01", "rows": 0}
    [model, _] = merge(SERVED, [empty, *VERDICTS], [], [])
    assert (model.verdict, model.empty_until) == ("drift", "")


def test_loss_of_the_verdict_is_shown_without_a_comparison() -> None:
    score = {"signal": "performance", "method": "log_loss_floor"}
    requested = VERDICTS[0] | {"detector": "request", "loss": 0.49, "scores": [score]}
    losses = {"name": "a", "served_loss": None, "baseline_loss": None, "metric": None}
    [model, _] = merge(SERVED, [requested], [losses], [])
    assert (model.served_loss, model.baseline_loss, model.metric) == (0.49, None, "log_loss")


def test_comparison_is_shown_before_the_loss_of_the_verdict() -> None:
    [model, _] = merge(SERVED, [VERDICTS[0] | {"loss": 0.49}], LOSSES, [])
    assert (model.served_loss, model.baseline_loss) == (0.51, 0.57)


def test_waiting_runs_are_read_by_state() -> None:
    with fake_service() as fake:
        fake.answers["GET /runs"] = (200, {"runs": [{"run_id": "run-1", "created_at": "2013-02-08"}]})
        found = read_overview(Addresses(fake.url, fake.url, fake.url))
    assert [run["run_id"] for run in found.waiting_runs] == ["run-1", "run-1"]
    wanted = {"GET /runs?state=suggested", "GET /runs?state=waiting_for_approval"}
    assert wanted <= {path for path, _ in fake.asked}


def test_unavailable_service_is_named() -> None:
    with fake_service() as fake:
        fake.answers["GET /status.json"] = (200, {"models": SERVED})
        fake.answers["GET /verdicts"] = (200, {"verdicts": VERDICTS})
        fake.answers["GET /status"] = (200, {"models": CLOCKS})
        found = read_overview(Addresses(fake.url, fake.url, "http://127.0.0.1:9"))
    assert found.unavailable == ("retraining",)
    assert [(model.name, model.verdict) for model in found.models] == [("a", "drift"), ("b", "")]


def test_service_that_refuses_the_key_can_be_reached() -> None:
    with fake_service() as fake:
        fake.answers["GET /verdicts"] = (
            403,
            {"error": "shop lacks the scope read", "hint": "use a key with it"},
        )
        fake.answers["GET /status.json"] = (401, {"error": "this needs credentials with the scope read"})
        found = read_overview(Addresses(fake.url, fake.url, "http://127.0.0.1:9"))
    assert "refuses this command: shop lacks the scope read" in found.problems["drift"]
    assert "refuses this command: this needs credentials" in found.problems["inference"]
    assert found.problems["retraining"] == "cannot be reached"
