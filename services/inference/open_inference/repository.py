"""The model repository as Triton's clients see it: an index. Models are loaded from the release log, never by a request."""

from __future__ import annotations

from typing import Any

from services.inference.http.request import Request
from services.inference.http.response import Response, json_response
from services.inference.status.report import Status
from shared.errors import Conflict, InvalidRequest
from shared.http.json_body import parse_json
from shared.validation_text import show

_UNLOADED = "unloaded to keep within HOMEOSTAT_INFERENCE_MODEL_MEMORY_MIB; the next request for it loads it"


class RepositoryRoutes:
    """Handles the routes below `/v2/repository`."""

    def __init__(self, status: Status) -> None:
        self._status = status

    async def index(self, request: Request) -> Response:
        """The models that this server follows, with state and reason; `{"ready": true}` asks for the ready ones."""
        # tritonclient sends an empty body.
        document = parse_json(request.body, dict) if request.body.strip() else {}
        ready = document.get("ready")
        if ready is not None and not isinstance(ready, bool):
            raise InvalidRequest(
                f"`ready` is {show(ready)}", field="ready", expected="true or false", status=400
            )
        entries = repository_index(self._status.report())
        return json_response([entry for entry in entries if not ready or entry["state"] == "READY"])

    async def refuse_load(self, request: Request) -> Response:
        """Refused: releases decide what is served."""
        raise Conflict(
            "models are loaded and unloaded by releases, not by requests",
            hint="release a version with `homeostat deploy`, or return to an earlier one with `homeostat rollback`",
        )


def repository_index(report: dict[str, Any]) -> list[dict[str, str]]:
    """The index from the status report, sorted by name. A ready model with a `reason` has a newer release that failed."""
    entries = {
        model: {"name": model, "version": "", "state": "LOADING", "reason": ""}
        for model in report["release_log"]["followed"]
    }
    for model in report["models"]:
        entries[model["name"]] = {
            "name": model["name"],
            "version": model["version"],
            "state": "READY" if model["loaded"] else "UNAVAILABLE",
            "reason": model["last_error"] or ("" if model["loaded"] else _UNLOADED),
        }
    return [entries[name] for name in sorted(entries)]
