"""The slot of a deployment, and waiting until inference serves it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from cli.deployment.slot import slot_of, wait_until_served
from shared.errors import CallerError, OperatorError
from shared.http.service_client import ServiceClient


def test_slot_and_share_of_the_options() -> None:
    assert slot_of(None, None) == {}
    assert slot_of(0.1, None) == {"slot": "canary", "share": 0.1}
    assert slot_of(None, 1.0) == {"slot": "shadow", "share": 1.0}
    for canary, shadow, said in ((0.1, 0.1, "cannot be combined"), (0.0, None, "a share is above 0")):
        with pytest.raises(CallerError, match=said):
            slot_of(canary, shadow)


class Inference:
    """A server of two workers, the second of which has the generations that it is given, one for each request."""

    def __init__(self, *generations: int, error: str = "") -> None:
        self.generations = list(generations)
        self.error = error

    def get(self, path: str) -> Any:
        second = self.generations.pop(0) if len(self.generations) > 1 else self.generations[0]
        return {
            "models": [{"name": "toy", "generation": 2, "last_error": ""}],
            "workers": [
                {"worker": 1, "models": [{"name": "toy", "generation": 2}], "release_errors": {}},
                {
                    "worker": 2,
                    "models": [{"name": "toy", "generation": second}] if second else [],
                    "release_errors": {"toy": self.error} if self.error else {},
                },
            ],
        }


def wait(inference: Inference, wait_s: float) -> None:
    wait_until_served(cast(ServiceClient, inference), "toy", 2, wait_s)


def test_release_is_served_once_every_worker_serves_it() -> None:
    inference = Inference(0, 1, 2)
    wait(inference, 60)
    assert inference.generations == [2]


@pytest.mark.parametrize(
    ("inference", "said"),
    [
        (Inference(1), "worker 2: it serves generation 1"),
        (Inference(0), "worker 2: it serves generation none"),
        (Inference(1, error="no memory"), "worker 2: no memory"),
    ],
)
def test_worker_that_does_not_serve_a_release_is_named(inference: Inference, said: str) -> None:
    with pytest.raises(OperatorError, match=f"does not serve it after 0 s: {said}"):
        wait(inference, 0)


class WithCanary:
    """A server whose canary is of the generation that it is given, or cannot be loaded."""

    def __init__(self, generation: int, error: str = "") -> None:
        self.side = {"slot": "canary", "generation": generation, "last_error": error}

    def get(self, path: str) -> Any:
        return {"models": [{"name": "toy", "generation": 1, "sides": [self.side]}]}


def wait_for_canary(inference: WithCanary) -> None:
    wait_until_served(cast(ServiceClient, inference), "toy", 2, 0, release_slot="canary")


def test_canary_is_served_once_it_is_loaded() -> None:
    wait_for_canary(WithCanary(2))
    with pytest.raises(OperatorError, match="it is not loaded yet"):
        wait_for_canary(WithCanary(1))
    with pytest.raises(OperatorError, match="no graph"):
        wait_for_canary(WithCanary(0, error="no graph"))
