from __future__ import annotations

from typing import Any

import pytest

from services.inference.tracing.request_trace import Tracing, route_of

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/predict", "/predict"),
        ("/v2/models/toy/infer", "/v2/models/{model}/infer"),
        ("/v2/models/toy/versions/0a1b/infer", "/v2/models/{model}/versions/{version}/infer"),
        ("/v2/models/toy/versions/0a1b/other", "/{path}"),
        ("/v2/repository/index", "/v2/repository/index"),
        ("/v2/repository/models/toy/load", "/v2/repository/models/{model}/load"),
        ("/endpoints/toy/invocations", "/endpoints/{endpoint}/invocations"),
        ("/anything/else", "/{path}"),
        ("/", "/{path}"),
    ],
)
def test_route_has_no_names_of_models(path: str, route: str) -> None:
    assert route_of(path) == route


class Draws:
    """Numbers between 0 and 1 in a given order."""

    def __init__(self, *numbers: float) -> None:
        self.numbers = list(numbers)

    def __call__(self) -> float:
        return self.numbers.pop(0)


def traced(tracing: Tracing, traceparent: str = "") -> bool:
    return tracing.begin("POST", "/predict", traceparent, "") is not None


def test_share_of_the_requests_without_context_is_traced() -> None:
    tracing = Tracing(_no_tracer(), ratio=0.25, draw=Draws(0.3, 0.24, 0.25, 0.0))
    assert [traced(tracing) for _ in range(4)] == [False, True, False, True]


def test_sampling_of_the_client_is_kept() -> None:
    never = Tracing(_no_tracer(), ratio=0.0)
    always = Tracing(_no_tracer(), ratio=1.0)
    assert traced(never, f"00-{TRACE}-b7ad6b7169203331-01")
    assert not traced(always, f"00-{TRACE}-b7ad6b7169203331-00")


def test_request_handed_over_by_the_fast_path_is_traced_without_another_draw() -> None:
    tracing = Tracing(_no_tracer(), ratio=0.25, draw=Draws(0.9, 0.1, 0.9))
    assert not tracing.takes_next()
    assert tracing.takes_next()
    assert traced(tracing)
    assert not traced(tracing)


def _no_tracer() -> Any:
    return None
