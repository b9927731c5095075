"""The repository index, and requests to load models."""

from __future__ import annotations

import pytest

from services.inference.open_inference.repository import repository_index
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ToyStore

INDEX = "/v2/repository/index"


def test_index_has_state_and_reason(toys: ToyStore) -> None:
    release = toys.put_and_release(0.5)
    toys.put_and_release(0.5, model="other", raw=b"no model")
    server = InferenceServer(toys)
    # tritonclient sends no body.
    other, toy = server.ask("POST", INDEX).json()
    assert toy == {"name": "toy", "version": release.version, "state": "READY", "reason": ""}
    assert (other["name"], other["version"], other["state"]) == ("other", "", "UNAVAILABLE")
    assert other["reason"]
    assert server.ask("POST", INDEX, json={"ready": True}).json() == [toy]
    assert len(server.ask("POST", INDEX, json={"ready": False}).json()) == 2


def test_ready_that_is_no_boolean_is_refused(toys: ToyStore) -> None:
    answer = InferenceServer(toys).ask("POST", INDEX, json={"ready": 1})
    assert (answer.status_code, answer.json()["field"]) == (400, "ready")


def test_model_that_is_loading_is_in_the_index() -> None:
    report = {"release_log": {"followed": ["b"]}, "models": []}
    assert repository_index(report) == [{"name": "b", "version": "", "state": "LOADING", "reason": ""}]


def test_newer_release_that_failed_is_the_reason() -> None:
    model = {"name": "a", "version": "1", "loaded": True, "last_error": "no signature"}
    [entry] = repository_index({"release_log": {"followed": ["a"]}, "models": [model]})
    assert (entry["state"], entry["reason"]) == ("READY", "no signature")


@pytest.mark.parametrize("action", ["load", "unload"])
def test_requests_load_nothing(toys: ToyStore, action: str) -> None:
    answer = InferenceServer(toys).ask("POST", f"/v2/repository/models/toy/{action}", json={})
    assert answer.status_code == 409
    assert "homeostat deploy" in answer.json()["error"]
