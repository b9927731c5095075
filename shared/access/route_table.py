"""All routes of all services, and the scope that each needs. There is no other place that says so.

1. `{…}` stands for one segment of a path, also an empty one. HEAD counts as GET. A line break at the end counts as nothing:
   Starlette, too, finds a route with and without it.
2. A route without a scope is public: probes of processes, and the pages with which a person logs in.
3. A path that is not in the table needs READ: whoever may not even read learns nothing about which paths exist. A service does
   not start with a route that is not in the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from shared.access.scope import Scope

_P, _O, _R, _OP, _AP, _AD = (
    Scope.PREDICT,
    Scope.OUTCOMES,
    Scope.READ,
    Scope.OPERATE,
    Scope.APPROVE,
    Scope.ADMIN,
)
PUBLIC: Final = None

Route = tuple[str, str]

_HEALTH: Final[dict[Route, Scope | None]] = {
    ("GET", "/health/live"): PUBLIC,
    ("GET", "/health/ready"): PUBLIC,
}
_METRICS: Final[dict[Route, Scope | None]] = _HEALTH | {("GET", "/metrics"): _R, ("GET", "/status"): _R}

ROUTES: Final[Mapping[str, Mapping[Route, Scope | None]]] = {
    "inference": _METRICS
    | {
        ("POST", "/predict"): _P,
        ("POST", "/outcomes"): _O,
        ("POST", "/invocations"): _P,
        ("POST", "/endpoints/{model}/invocations"): _P,
        ("POST", "/v2/models/{model}/infer"): _P,
        ("POST", "/v2/models/{model}/versions/{version}/infer"): _P,
        ("POST", "/score_file"): _P,
        ("POST", "/score_file/submit"): _P,
        ("GET", "/score_file/status"): _P,
        ("GET", "/score_file/get"): _P,
        ("POST", "/score_file/retry"): _P,
        ("PUT", "/score_file/cancel"): _P,
        ("GET", "/livez"): PUBLIC,
        ("GET", "/healthz"): PUBLIC,
        ("GET", "/readyz"): PUBLIC,
        ("GET", "/ping"): PUBLIC,
        ("GET", "/health"): PUBLIC,
        ("GET", "/v2/health/live"): PUBLIC,
        ("GET", "/v2/health/ready"): PUBLIC,
        # What a client has to know to request a prediction: a key for predictions is enough for every client.
        ("GET", "/version"): _P,
        ("GET", "/schema.json"): _P,
        ("GET", "/docs.json"): _P,
        ("GET", "/v2"): _P,
        ("GET", "/v2/"): _P,
        ("GET", "/v2/models/{model}"): _P,
        ("GET", "/v2/models/{model}/ready"): _P,
        ("GET", "/v2/models/{model}/config"): _P,
        ("GET", "/v2/models/{model}/versions/{version}"): _P,
        ("GET", "/v2/models/{model}/versions/{version}/ready"): _P,
        ("GET", "/v2/models/{model}/versions/{version}/config"): _P,
        ("POST", "/v2/repository/index"): _P,
        # These answer 409 and say how models are released.
        ("POST", "/v2/repository/models/{model}/load"): _P,
        ("POST", "/v2/repository/models/{model}/unload"): _P,
        ("GET", "/"): _R,
        ("GET", "/status.json"): _R,
        ("GET", "/v2/models/stats"): _R,
        ("GET", "/v2/models/{model}/stats"): _R,
        ("GET", "/v2/models/{model}/versions/{version}/stats"): _R,
    },
    "shipper": _METRICS,
    "sink": _METRICS,
    "drift": _METRICS
    | {
        ("GET", "/openapi.json"): _R,
        ("GET", "/verdicts"): _R,
        ("GET", "/verdicts/{verdict_id}"): _R,
        ("GET", "/reports/{verdict_id}"): _R,
        ("GET", "/reports/{verdict_id}/report.json"): _R,
        ("GET", "/models/{model}/data-summary"): _R,
        ("POST", "/models/{model}/evaluations"): _OP,
    },
    "retraining": _METRICS
    | {
        ("GET", "/openapi.json"): _R,
        ("POST", "/triggers"): _OP,
        ("GET", "/models/{model}/releases"): _R,
        ("GET", "/models/{model}/why-not"): _R,
        ("POST", "/models/{model}/what-if"): _R,  # it computes and records nothing
        ("POST", "/models/{model}/deployments"): _AD,
        ("POST", "/models/{model}/rollback"): _AD,
        ("GET", "/runs"): _R,
        ("GET", "/runs/{run_id}"): _R,
        ("GET", "/runs/{run_id}/gate"): _R,
        ("GET", "/runs/{run_id}/gate.json"): _R,
        ("GET", "/runs/{run_id}/steps"): _R,
        ("POST", "/runs/{run_id}/approve"): _AP,
        ("POST", "/runs/{run_id}/reject"): _AP,
        ("GET", "/delegations"): _R,
        ("POST", "/delegations"): _AP,
        ("POST", "/delegations/{number}/revoke"): _AP,
        ("GET", "/decisions"): _R,
        ("GET", "/decisions/open"): _R,
        ("POST", "/causes/{key}/acknowledge"): _OP,
        ("GET", "/verdicts/dead-letters"): _R,
        ("POST", "/verdicts/dead-letters/{letter}/replay"): _OP,
        ("POST", "/verdicts/dead-letters/{letter}/discard"): _OP,
        ("GET", "/predictions/{prediction_id}/why"): _R,
        ("GET", "/versions/{version}/why"): _R,
        ("GET", "/runs/{run_id}/why"): _R,
        ("GET", "/causes/{key}/why"): _R,
    },
    "console": _HEALTH
    | {
        ("GET", "/openapi.json"): _R,
        ("GET", "/metrics"): _R,
        ("GET", "/"): _R,
        ("GET", "/main"): _R,
        ("GET", "/login"): PUBLIC,
        ("POST", "/login"): PUBLIC,
        ("POST", "/login/codes"): _R,
        ("GET", "/login/oidc"): PUBLIC,
        ("GET", "/login/callback"): PUBLIC,
        ("POST", "/logout"): PUBLIC,
        ("GET", "/status.json"): _R,
        ("GET", "/reports/{verdict_id}"): _R,
        ("GET", "/reports/{verdict_id}/content"): _R,
        ("GET", "/models/{model}/data"): _R,
        ("GET", "/runs/{run_id}/gate"): _R,
        ("POST", "/api/runs/{run_id}/approve"): _AP,
        ("POST", "/api/runs/{run_id}/reject"): _AP,
        ("POST", "/api/causes/{cause_key}/acknowledge"): _OP,
        ("POST", "/api/models/{model}/rollback"): _AD,
    },
}

# Routes that also a caller without the scope may use, in the place of somebody who has it and delegated it.
DELEGABLE: Final[Mapping[str, frozenset[Route]]] = {
    "retraining": frozenset({("POST", "/runs/{run_id}/approve"), ("POST", "/runs/{run_id}/reject")}),
    "console": frozenset({("POST", "/api/runs/{run_id}/approve"), ("POST", "/api/runs/{run_id}/reject")}),
}

_KNOWN_PATHS, _KNOWN_LENGTH = 1024, 256


class RouteTable:
    """The routes of one service."""

    def __init__(
        self, routes: Mapping[Route, Scope | None], delegable: frozenset[Route] = frozenset()
    ) -> None:
        self.routes = routes
        self._delegable = [(method, tuple(path.split("/"))) for method, path in sorted(delegable)]
        self._templates: dict[tuple[str, int], list[tuple[tuple[str, ...], Scope | None]]] = {}
        for (method, path), scope in routes.items():
            if "{" in path:
                segments = tuple(path.split("/"))
                self._templates.setdefault((method, len(segments)), []).append((segments, scope))
        self._known = lru_cache(maxsize=_KNOWN_PATHS)(self._scope_of)

    @classmethod
    def of(cls, service: str) -> RouteTable:
        """Those of a service of the table."""
        return cls(ROUTES[service], DELEGABLE.get(service, frozenset()))

    def scope_of(self, method: str, path: str) -> Scope | None:
        """The scope that a request needs; PUBLIC for none."""
        # Longer ones are not kept: anybody may send them.
        return self._known(method, path) if len(path) <= _KNOWN_LENGTH else self._scope_of(method, path)

    def may_be_delegated(self, method: str, path: str) -> bool:
        """Whether a caller without the scope may use the route in the place of somebody who delegated it."""
        segments = path.removesuffix("\n").split("/")
        return any(
            method == known and len(template) == len(segments) and _fits(template, segments)
            for known, template in self._delegable
        )

    def _scope_of(self, method: str, path: str) -> Scope | None:
        method = "GET" if method == "HEAD" else method
        path = path.removesuffix("\n")
        if (method, path) in self.routes:
            return self.routes[method, path]
        segments = path.split("/")
        for template, scope in self._templates.get((method, len(segments)), ()):
            if _fits(template, segments):
                return scope
        return Scope.READ

    def check_complete(self, routes: set[Route]) -> None:
        """Raises RuntimeError if a service has routes that are not in the table."""
        if missing := routes - self.routes.keys():
            raise RuntimeError(f"routes that need a scope in shared/access/route_table.py: {sorted(missing)}")


def _fits(template: Sequence[str], segments: Sequence[str]) -> bool:
    return all(part.startswith("{") or part == found for part, found in zip(template, segments, strict=True))
