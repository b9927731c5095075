"""The table of routes and scopes."""

from __future__ import annotations

import pytest

from shared.access.route_table import PUBLIC, ROUTES, RouteTable
from shared.access.scope import ANONYMOUS_SCOPES, Scope


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/health/live", PUBLIC),
        ("HEAD", "/health/live", PUBLIC),
        ("GET", "/metrics", Scope.READ),
        ("POST", "/models/toy/rollback", Scope.ADMIN),
        ("POST", "/runs/run-1/approve", Scope.APPROVE),
        ("GET", "/runs/run-1/why", Scope.READ),
        ("GET", "/nowhere", Scope.READ),
        ("GET", "/models/toy/rollback", Scope.READ),
        ("POST", "/models//rollback", Scope.ADMIN),
        ("POST", "/models/toy/rollback\n", Scope.ADMIN),
        ("POST", "/runs/run\n1/approve\n", Scope.APPROVE),
        ("POST", "/models/toy/rollback/", Scope.READ),
        ("POST", "/health/live", Scope.READ),
    ],
)
def test_scope_of_a_request(method: str, path: str, scope: Scope | None) -> None:
    """Also of paths that a router takes for a route: Starlette's patterns end before a line break."""
    assert RouteTable.of("retraining").scope_of(method, path) == scope


def test_only_reading_and_predicting_are_ever_open() -> None:
    """Whatever writes, other than predictions, outcomes and the login, needs a scope that nobody has without credentials.

    A question whose body is too long for a path writes nothing.
    """
    questions = {"/v2/repository/index", "/models/{model}/what-if"}
    own_check = {"/login", "/logout", "/session"}
    for service, routes in ROUTES.items():
        for (method, path), scope in routes.items():
            if scope is not PUBLIC and scope not in ANONYMOUS_SCOPES:
                assert method != "GET", (service, path)
            if method != "GET" and scope in (PUBLIC, Scope.READ):
                assert path in questions or path.startswith(tuple(own_check)), (service, path)


def test_empty_name_of_a_model_needs_the_same_scope() -> None:
    assert RouteTable.of("inference").scope_of("POST", "/v2/models//infer") is Scope.PREDICT


def test_forgotten_route_is_named() -> None:
    with pytest.raises(RuntimeError, match="/forgotten"):
        RouteTable.of("drift").check_complete({("GET", "/forgotten"), ("GET", "/metrics")})
