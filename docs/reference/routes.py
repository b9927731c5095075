"""HTTP routes: those declared with FastAPI decorators, inference's own table, and the metrics server."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from docs.reference.markdown import code, table
from docs.reference.sources import ROOT, parse, service_of, sources
from shared.access.route_table import PUBLIC, RouteTable

_VERBS = {"get": "GET", "post": "POST", "put": "PUT", "delete": "DELETE", "patch": "PATCH"}
# Services that open `shared.http.metrics_server` instead of having an application of their own.
_METRICS_SERVER = ROOT / "shared" / "http" / "metrics_server.py"
# Services whose application is made by `shared.http.service_app`, with its health routes.
_SERVICE_APP = ROOT / "shared" / "http" / "service_app.py"
_WITH_SHARED_APP = ("services.drift", "services.retraining", "services.console")
_METRICS_ONLY = "services.prediction_log"
# Captured pieces of a path that have another name in the code; a wildcard is a model.
_NAMES = {"name": "version", None: "model"}

_BENTOML_PAGES = {
    "/schema.json": "BentoML: inputs and outputs of each method, for its clients.",
    "/docs.json": "BentoML: the methods as OpenAPI.",
}

# BentoML makes these routes of a task; `AppFactory` answers them with methods of `TaskHandlers`.
_TASK_ROUTES = (
    ("POST", "/submit", "submit"),
    ("GET", "/status", "status"),
    ("GET", "/get", "result"),
    ("PUT", "/cancel", "cancel"),
    ("POST", "/retry", "retry"),
    ("POST", "", "run"),
)


@dataclass(frozen=True)
class Route:
    """One route: `owner` answers `method` `path`; `description` is its function's first sentence."""

    owner: str
    method: str
    path: str
    description: str


@cache
def all_routes() -> tuple[Route, ...]:
    """Every route of every service, in the order of the code."""
    found = []
    for path in sources("services"):
        found += list(_decorated(parse(path), service_of(path)))
    for owner in _WITH_SHARED_APP:
        found += list(_decorated(parse(_SERVICE_APP), owner))
    found += list(_inference())
    found += list(_metrics_server())
    return tuple(found)


def route_table(owner: str) -> str:
    """The routes of one service."""
    rows = [
        (route.method, code(route.path), _scope(route), route.description)
        for route in all_routes()
        if route.owner == owner
    ]
    return table(("method", "path", "scope", "answers"), rows)


def _scope(route: Route) -> str:
    """The scope that the route needs; a dash for a public one."""
    service = {_METRICS_ONLY: "shipper"}.get(route.owner, route.owner.removeprefix("services."))
    scope = RouteTable.of(service).scope_of(route.method, route.path)
    return "–" if scope is PUBLIC else code(scope)


def _decorated(tree: ast.Module, owner: str) -> Iterator[Route]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for decorator in node.decorator_list:
            if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Attribute):
                continue
            method = _VERBS.get(decorator.func.attr)
            if method and decorator.args and isinstance(decorator.args[0], ast.Constant):
                yield Route(owner, method, str(decorator.args[0].value), _first(ast.get_docstring(node)))


def _inference() -> Iterator[Route]:
    owner, folder = "services.inference", ROOT / "services" / "inference"
    summaries = {
        (node.name, item.name): _first(ast.get_docstring(item))
        for part in ("http", "mlflow_scoring", "open_inference", "tasks")
        for path in sorted((folder / part).glob("*.py"))
        for node in parse(path).body
        if isinstance(node, ast.ClassDef)
        for item in node.body
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    tree = parse(folder / "routes.py")
    made = {
        node.targets[0].id: node.value.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if (
                    isinstance(key, ast.Tuple)
                    and isinstance(value, ast.Attribute)
                    and isinstance(value.value, ast.Name)
                ):
                    method, path = ast.literal_eval(key)
                    yield Route(
                        owner, method, path, summaries.get((made.get(value.value.id, ""), value.attr), "")
                    )
    for page, answers in _BENTOML_PAGES.items():
        yield Route(owner, "GET", page, answers)
    for method, end, handler in _TASK_ROUTES:
        yield Route(owner, method, f"/score_file{end}", summaries["TaskHandlers", handler])
    for method, pieces in _matched(folder / "open_inference" / "handlers.py"):
        where = "/".join(["/v2", *pieces])
        yield Route(owner, method, where, f"Open Inference Protocol v2: {_in_words(pieces)}.")
    for method, pieces in _matched(folder / "mlflow_scoring" / "handlers.py"):
        where = "/".join(["", *pieces])
        yield Route(
            owner,
            method,
            where,
            "Like `/invocations`, for the model in the path; used by MLflow's deployments client.",
        )


def _matched(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Method and pieces of paths that are matched piece by piece: `case ("GET", "models", model, "ready")`."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.match_case):
            pattern = node.pattern.patterns[0] if isinstance(node.pattern, ast.MatchOr) else node.pattern
            if not isinstance(pattern, ast.MatchSequence):
                continue
            method, *pieces = (_piece(part) for part in pattern.patterns)
            yield method, pieces


def _piece(pattern: ast.pattern) -> str:
    if isinstance(pattern, ast.MatchValue) and isinstance(pattern.value, ast.Constant):
        return str(pattern.value.value)
    if isinstance(pattern, ast.MatchAs):
        return f"{{{_NAMES.get(pattern.name, pattern.name)}}}"
    return "?"


def _in_words(pieces: list[str]) -> str:
    last = pieces[-1] if pieces else ""
    words = {
        "live": "whether the process is running",
        "infer": "predict; takes tensors and returns tensors",
        "": "the server's name and extensions",
        "config": "Triton's configuration of the model",
        "stats": "requests and model calls since the start",
        "index": "known models and their states",
        "load": "refused, because releases decide what is served",
        "unload": "refused, because releases decide what is served",
    }
    if last == "ready":
        return (
            "whether the model is ready"
            if "models" in pieces
            else "whether the released models are loaded, those that can be"
        )
    return words.get(last, "the model's inputs and outputs")


def _metrics_server() -> Iterator[Route]:
    words = {
        "/metrics": "Metrics in Prometheus text format.",
        "/status": "The state of the process, as JSON.",
        "/health/live": "The process is running.",
        "/health/ready": "200 if the service can do its work, 503 if not.",
    }
    paths = {
        constant.value
        for node in ast.walk(parse(_METRICS_SERVER))
        if isinstance(node, ast.Compare)
        for constant in ast.walk(node)
        if isinstance(constant, ast.Constant)
        and isinstance(constant.value, str)
        and constant.value.startswith("/")
    }
    for path in sorted(paths):
        yield Route(_METRICS_ONLY, "GET", path, words[path])


def _first(docstring: str | None) -> str:
    return (docstring or "").split("\n\n")[0].strip()
