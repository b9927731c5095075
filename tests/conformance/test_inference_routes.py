"""The table of routes has exactly the routes of inference, and a path that a router takes for one of them needs its scope."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.routing import Match, Mount, Route
from uvicorn.config import HTTP_PROTOCOLS

from services.inference.bento.app_factory import WrongMethod
from services.inference.mlflow_scoring.handlers import MlflowHandler
from services.inference.open_inference.handlers import OpenInferenceHandler
from shared.access.route_table import PUBLIC, ROUTES, RouteTable
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ToyStore

Routes = set[tuple[str, str]]
TABLE = ROUTES["inference"]
PROBES = {
    ("GET", path)
    for path in (
        "/health/live",
        "/health/ready",
        "/livez",
        "/healthz",
        "/readyz",
        "/ping",
        "/health",
        "/v2/health/live",
        "/v2/health/ready",
    )
}


@pytest.fixture
def server(toys: ToyStore) -> InferenceServer:
    return InferenceServer(toys)


@pytest.fixture(scope="module")
def bentoml_routes() -> Iterator[list[Any]]:
    """Of the application that BentoML makes of the service."""
    before = dict(HTTP_PROTOCOLS)
    from services.inference.service import InferenceService

    service: Any = InferenceService
    yield service.to_asgi().bentoml.router.routes
    HTTP_PROTOCOLS.clear()
    HTTP_PROTOCOLS.update(before)


def of_match(find: Callable[..., Any], prefix: str = "") -> Routes:
    """The routes in the `match` statement of a function, as templates."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(find)))
    found: Routes = set()
    for case in (case for node in ast.walk(tree) if isinstance(node, ast.Match) for case in node.cases):
        patterns = case.pattern.patterns if isinstance(case.pattern, ast.MatchOr) else [case.pattern]
        for pattern in patterns:
            assert isinstance(pattern, ast.MatchSequence)
            method, *parts = [
                ast.literal_eval(one.value) if isinstance(one, ast.MatchValue) else "{}"
                for one in pattern.patterns
            ]
            found.add((method, prefix + "".join(f"/{part}" for part in parts)))
    return found


def unnamed(routes: Any) -> Routes:
    """The routes with `{}` for every parameter."""
    return {
        (method, "/".join("{}" if part.startswith("{") else part for part in path.split("/")))
        for method, path in routes
    }


def of_bentoml(routes: list[Any]) -> Routes:
    *own, rest = routes
    assert isinstance(rest, Mount)  # our application
    assert all(isinstance(route, Route) for route in own)
    answering = [route for route in own if not isinstance(route.endpoint, WrongMethod)]
    return {(method, route.path) for route in answering for method in route.methods if method != "HEAD"}


def test_table_has_every_route_and_no_other(server: InferenceServer, bentoml_routes: list[Any]) -> None:
    open_inference = of_match(OpenInferenceHandler._find, "/v2")
    assert len(open_inference) > 15
    served = (
        set(server.app._routes)
        | open_inference
        | of_match(MlflowHandler.find)
        | unnamed(of_bentoml(bentoml_routes))
    )
    assert unnamed(TABLE) == served


def test_probes_are_public_and_nothing_else() -> None:
    assert {route for route, scope in TABLE.items() if scope is PUBLIC} == PROBES


def variants(path: str) -> Iterator[str]:
    """What a router could take for the path."""
    named = path.replace("{model}", "toy").replace("{version}", "1")
    yield from (named, path.replace("{model}", "").replace("{version}", ""))
    yield from (named + end for end in ("\n", "/", "\r\n", "\0", " ", "?", "%0A"))
    yield from (named.replace("/", "//"), "/" + named, named.upper(), named.replace("toy", "to\ny"))


@pytest.mark.parametrize("route", sorted(TABLE), ids=" ".join)
def test_path_that_reaches_a_route_needs_its_scope(
    route: tuple[str, str], server: InferenceServer, bentoml_routes: list[Any]
) -> None:
    method, template = route
    table = RouteTable(TABLE)
    others = {path for _, path in TABLE if path != template}
    if template == "/v2/models/stats":  # with more letters it is a model
        others |= set(variants(template)) - {template}
    for path in variants(template):
        handler = server.app._routes.get((method, path)) or server.app._find(method, path)
        scope = {"type": "http", "method": method, "path": path, "headers": []}
        matched = any(one.matches(scope)[0] is Match.FULL for one in bentoml_routes[:-1])
        if (handler is not None or matched) and path not in others:
            assert table.scope_of(method, path) is TABLE[route], repr(path)
