"""A Grafana with memory, for tests: a real HTTP server that holds every request against the API as Grafana documents it.

What is asked, with which fields and which permission, is in `grafana_pages.py`, with the addresses of Grafana's pages.

It is stricter than Grafana, which passes over fields it does not know: here they, nulls where a value belongs, and parameters
that no page names are answered with 400 and kept in `violations`, which a test can hold to be empty.

Versions differ as Grafana's do: the history is a list in 11 and an object from 12 on; routes with a data source's number are gone
in 13 (they need a feature toggle); from 12 on a board comes back in the newest schema, not as it was saved.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.fakes.grafana_pages import (
    ANNOTATION,
    BOARD,
    DATA_SOURCE,
    FOLDER,
    NUMBER,
    PERMISSIONS,
    SAVE,
    Field,
    Refusal,
    Role,
    check_uid,
    wrong_fields,
)
from tests.fakes.grafana_troubles import JSON_TYPE, Trouble, answers, page

__all__ = ["PASSWORD", "TOKEN", "USER", "FakeGrafana", "Trouble", "answers", "grafana", "page"]

TOKEN = "glsa_the-token-of-the-tests_0123abcd"
USER, PASSWORD = "anna", "påss-wörd of the tests"
NEWEST_SCHEMA = 42


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    body: Any
    authorization: str


@dataclass(frozen=True)
class Route:
    method: str
    path: re.Pattern[str]
    permission: str
    carry_out: Callable[..., Any]
    body: dict[str, Field] | None = None
    query: frozenset[str] = frozenset()


@dataclass
class FakeGrafana:
    """One organization of a Grafana of `version`, with a `role` for whoever logs in with TOKEN or USER and PASSWORD."""

    version: str = "12.4.0"
    role: Role = "Admin"
    prefix: str = ""
    tls: ssl.SSLContext | None = None
    hides_version: bool = False
    data_sources_answer: bool = True
    requests: list[Request] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    folders: dict[str, dict[str, Any]] = field(default_factory=dict)
    data_sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    boards: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    provisioned: set[str] = field(default_factory=set)
    troubles: deque[Trouble] = field(default_factory=deque)
    always: Trouble | None = None
    port: int = 0

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)
        self._lock = Lock()
        self._stopping = Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._server.daemon_threads = True
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}{self.prefix}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port and let go of what hangs."""
        self._stopping.set()
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    @property
    def writes(self) -> list[tuple[str, str]]:
        """The requests that were to change something."""
        return [(one.method, one.path) for one in self.requests if one.method != "GET"]

    def board(self, uid: str) -> dict[str, Any]:
        """A board as last saved."""
        return dict(self.boards[uid][-1]["data"])

    def edit_by_hand(self, uid: str, *, keeps_message: bool = False, **changes: Any) -> None:
        """What a person does in the browser: change and save. Some clients send the old message along."""
        last = self.boards[uid][-1]
        message = last["message"] if keeps_message else ""
        self._keep(uid, dict(last["data"]) | changes, last["folder"], message, "anna")

    def add_board(self, model: dict[str, Any], folder: str = "", *, provisioned: bool = False) -> None:
        """A board that is there already."""
        self._keep(model["uid"], model, folder, "", "admin")
        if provisioned:
            self.provisioned.add(model["uid"])

    def add_data_source(self, uid: str, name: str, url: str, **more: Any) -> None:
        """A data source that is there already."""
        self.data_sources[uid] = self._data_source(
            {"uid": uid, "name": name, "type": "prometheus", "url": url} | more
        )

    # What a request meets.

    def meet(self, handler: BaseHTTPRequestHandler) -> None:
        """1. Keep it. 2. Trouble, if it is to befall this one. 3. Login, permission, form. 4. Carry it out."""
        parts = urlsplit(handler.path)
        raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        path = parts.path.removeprefix(self.prefix) if parts.path.startswith(self.prefix) else "/outside"
        query = tuple(parse_qsl(parts.query, keep_blank_values=True))
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = ValueError
        request = Request(handler.command, path, query, body, handler.headers.get("Authorization", ""))
        with self._lock:
            self.requests.append(request)
            trouble = self._trouble_for(request)
        if trouble is not None:
            if trouble.carried_out:
                self._answer(request, handler)
            self._befall(trouble, handler)
            return
        status, answer = self._answer(request, handler)
        self._send(handler, status, json.dumps(answer).encode(), (JSON_TYPE,))

    def _trouble_for(self, request: Request) -> Trouble | None:
        if self.troubles and self.troubles[0].befalls(request.method, request.path):
            return self.troubles.popleft()
        return (
            self.always
            if self.always is not None and self.always.befalls(request.method, request.path)
            else None
        )

    def _befall(self, trouble: Trouble, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        if trouble.kind == "hang":
            self._stopping.wait(120)
        elif trouble.kind == "trickle":
            handler.send_response(200)
            handler.send_header("Content-Length", "100000")
            handler.end_headers()
            while not self._stopping.wait(0.05):
                handler.wfile.write(b" ")
        elif trouble.kind == "answer":
            # Without this header a client keeps the connection, and its next request fails.
            self._send(handler, trouble.status, trouble.body, (*trouble.headers, ("Connection", "close")))

    def _send(
        self, handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: tuple[tuple[str, str], ...]
    ) -> None:
        handler.send_response(status)
        for name, value in headers:
            handler.send_header(name, value)
        if status != 204:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if status != 204:
            handler.wfile.write(body)

    def _answer(self, request: Request, handler: BaseHTTPRequestHandler) -> tuple[int, Any]:
        with self._lock:
            try:
                return 200, self._route(request, handler)
            except Refusal as refusal:
                return refusal.status, refusal.body

    def _route(self, request: Request, handler: BaseHTTPRequestHandler) -> Any:
        for route in ROUTES:
            found = route.path.fullmatch(request.path)
            if found and route.method == request.method:
                if request.path != "/api/health":
                    self._check_login(request.authorization)
                self._check_permission(route.permission)
                self._check_form(route, request, handler.headers.get("Content-Type", ""))
                given = {name: unquote(value) for name, value in found.groupdict().items()}
                return route.carry_out(self, request, **given)
        self._check_login(request.authorization)
        self.violations.append(f"{request.method} {request.path}: no such route")
        raise Refusal(404, "Not found")

    def _check_login(self, authorization: str) -> None:
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if authorization == f"Basic {basic}" or authorization == f"Bearer {TOKEN}":
            return
        if authorization.startswith("Basic "):
            raise Refusal(
                401, "Invalid username or password", messageId="password-auth.failed", statusCode=401
            )
        if authorization:
            raise Refusal(401, "Invalid API key", messageId="api-key.invalid", statusCode=401)
        raise Refusal(401, "Unauthorized", statusCode=401)

    def _check_permission(self, permission: str) -> None:
        if permission and permission not in PERMISSIONS[self.role]:
            raise Refusal(
                403,
                "You'll need additional permissions to perform this action. Permissions needed: "
                + permission,
                accessErrorId="ACE0000000001",
                title="Access denied",
            )

    def _check_form(self, route: Route, request: Request, content_type: str) -> None:
        wrong = [f"unknown parameter {name}" for name, _ in request.query if name not in route.query]
        if route.body is None:
            wrong += ["a body where none belongs"] if request.body is not None else []
        elif not content_type.startswith("application/json"):
            wrong.append(f"a body of type {content_type or 'none'}")
        elif not isinstance(request.body, dict):
            wrong.append("no JSON object")
        else:
            wrong += wrong_fields(request.body, route.body)
        if wrong:
            self.violations.append(f"{request.method} {request.path}: {', '.join(wrong)}")
            raise Refusal(400, f"bad request data: {', '.join(wrong)}")

    # What is carried out.

    def health(self, request: Request) -> Any:
        hidden = self.hides_version and not request.authorization
        return {"database": "ok"} | ({} if hidden else {"version": self.version, "commit": "0123abcd"})

    def organization(self, request: Request) -> Any:
        return {"id": 1, "name": "Main Org.", "address": {}}

    def permissions(self, request: Request) -> Any:
        return {name: ["*"] for name in sorted(PERMISSIONS[self.role])}

    def get_folder(self, request: Request, uid: str) -> Any:
        if uid not in self.folders:
            raise Refusal(404, "folder not found", status="not-found")
        return self.folders[uid]

    def create_folder(self, request: Request) -> Any:
        uid = request.body.get("uid") or f"generated{next(self._ids)}"
        check_uid(uid)
        if not request.body["title"]:
            raise Refusal(400, "folder title cannot be empty")
        if uid in self.folders:
            raise Refusal(409, "a folder with the same UID already exists", status="name-exists")
        self.folders[uid] = {"id": next(self._ids), "uid": uid, "title": request.body["title"], "version": 1}
        return self.folders[uid]

    def get_data_source(self, request: Request, uid: str) -> Any:
        if uid not in self.data_sources:
            raise Refusal(404, "Data source not found")
        return self.data_sources[uid]

    def numbered_data_source(self, request: Request, number: str) -> Any:
        if self.major >= 13:
            raise Refusal(404, "Not found")
        for source in self.data_sources.values():
            if source["id"] == int(number):
                return source
        raise Refusal(404, "Data source not found")

    def create_data_source(self, request: Request) -> Any:
        uid = request.body.get("uid") or f"generated{next(self._ids)}"
        check_uid(uid)
        if uid in self.data_sources:
            raise Refusal(409, "data source with the same uid already exists")
        self._check_name(request.body["name"], uid)
        source = self.data_sources[uid] = self._data_source(request.body | {"uid": uid})
        return {
            "datasource": source,
            "id": source["id"],
            "message": "Datasource added",
            "name": source["name"],
        }

    def update_data_source(self, request: Request, uid: str) -> Any:
        before = self.get_data_source(request, uid)
        if before["readOnly"]:
            raise Refusal(403, "Cannot update read-only data source")
        if request.body.get("version", before["version"]) != before["version"]:
            raise Refusal(
                409, "Datasource has already been updated by someone else. Please reload and try again"
            )
        self._check_name(request.body["name"], uid)
        # Everything is replaced; what is not sent falls back to nothing. Secrets alone stay.
        after = self._data_source(request.body) | {"id": before["id"], "version": before["version"] + 1}
        after["secureJsonFields"] = before["secureJsonFields"] | after["secureJsonFields"]
        del self.data_sources[uid]
        self.data_sources[after["uid"]] = after
        return {
            "datasource": after,
            "id": after["id"],
            "message": "Datasource updated",
            "name": after["name"],
        }

    def ask_data_source(self, request: Request, uid: str) -> Any:
        self.get_data_source(request, uid)
        if not self.data_sources_answer:
            raise Refusal(
                400, 'Post "http://prometheus:9090/api/v1/query": connection refused', status="ERROR"
            )
        return {"message": "Successfully queried the Prometheus API.", "status": "OK"}

    def get_board(self, request: Request, uid: str) -> Any:
        if uid not in self.boards:
            raise Refusal(404, "Dashboard not found")
        save = self.boards[uid][-1]
        model = dict(save["data"])
        if self.major >= 12:
            model |= {"schemaVersion": NEWEST_SCHEMA, "preload": model.get("preload", False)}
        meta = {
            "folderUid": save["folder"],
            "provisioned": uid in self.provisioned,
            "version": save["version"],
        }
        return {"dashboard": model, "meta": meta | {"type": "db", "slug": uid, "url": f"/d/{uid}/{uid}"}}

    def save_board(self, request: Request) -> Any:
        model, folder = dict(request.body["dashboard"]), request.body.get("folderUid", "")
        wrong = wrong_fields(model, BOARD, closed=False)
        if wrong:
            self.violations.append(f"POST /api/dashboards/db: dashboard: {', '.join(wrong)}")
            raise Refusal(400, f"bad request data: {', '.join(wrong)}")
        if not model["title"]:
            raise Refusal(400, "Dashboard title cannot be empty", status="empty-name")
        if folder and folder not in self.folders:
            raise Refusal(400, "folder not found")
        if len(request.body.get("message", "")) > 500:
            raise Refusal(400, "message too long, max 500 characters")
        uid = model.get("uid") or f"generated{next(self._ids)}"
        check_uid(uid)
        if uid in self.provisioned:
            raise Refusal(400, "Cannot save provisioned dashboard")
        numbers = {saves[-1]["data"]["id"]: name for name, saves in self.boards.items()}
        if model.get("id") is not None and numbers.get(model["id"]) != uid:
            raise Refusal(404, "Dashboard not found", status="not-found")
        blind = uid in self.boards and model.get("version") != self.boards[uid][-1]["version"]
        if blind and not request.body.get("overwrite"):
            raise Refusal(412, "The dashboard has been changed by someone else", status="version-mismatch")
        version = self._keep(uid, model, folder, request.body.get("message", ""), "sa-1-homeostat")
        return {
            "id": self.boards[uid][-1]["data"]["id"], "uid": uid, "url": f"/d/{uid}/{uid}", "status": "success",
            "version": version, "slug": uid, "folderUid": folder,
        }  # fmt: skip

    def history(self, request: Request, uid: str) -> Any:
        if uid not in self.boards:
            raise Refusal(404, "Dashboard not found")
        limit = int(dict(request.query).get("limit", "1000"))
        saves = [
            {
                "id": save["version"], "dashboardId": 1, "uid": uid, "parentVersion": save["version"] - 1,
                "restoredFrom": 0, "version": save["version"], "created": "2026-11-21T03:00:00Z",
                "createdBy": save["by"], "message": save["message"],
            }
            for save in reversed(self.boards[uid])
        ][:limit]  # fmt: skip
        return saves if self.major < 12 else {"continueToken": "", "versions": saves}

    def delete_board(self, request: Request, uid: str) -> Any:
        board = self.get_board(request, uid)
        del self.boards[uid]
        return {"title": board["dashboard"]["title"], "message": "Dashboard deleted", "id": 1}

    def find_annotations(self, request: Request) -> Any:
        query = dict(request.query)
        tags = {value for name, value in request.query if name == "tags"}
        return [
            one
            for one in self.annotations
            if tags <= set(one["tags"])
            and int(query.get("from", 0)) <= one["time"] <= int(query.get("to", 1 << 62))
            and one["dashboardUID"] == query.get("dashboardUID", one["dashboardUID"])
        ][: int(query.get("limit", "100"))]

    def create_annotation(self, request: Request) -> Any:
        body = request.body
        if not body["text"]:
            raise Refusal(400, "Failed to save annotation: text field should not be empty")
        if body.get("dashboardUID") and body["dashboardUID"] not in self.boards:
            raise Refusal(404, "Dashboard not found")
        self.annotations.append(
            {
                "id": next(self._ids), "text": body["text"], "tags": body.get("tags", []),
                "time": body.get("time", int(time.time() * 1000)), "dashboardUID": body.get("dashboardUID", ""),
            }
        )  # fmt: skip
        return {"message": "Annotation added", "id": self.annotations[-1]["id"]}

    def _check_name(self, name: str, uid: str) -> None:
        if any(one["name"] == name and one["uid"] != uid for one in self.data_sources.values()):
            raise Refusal(409, "data source with the same name already exists")

    def _data_source(self, given: dict[str, Any]) -> dict[str, Any]:
        fresh: dict[str, Any] = {
            "id": next(self._ids), "orgId": 1, "access": "proxy", "url": "", "user": "", "database": "",
            "basicAuth": False, "basicAuthUser": "", "withCredentials": False, "isDefault": False, "jsonData": {},
            "secureJsonFields": {}, "version": 1, "readOnly": False, "typeLogoUrl": "",
        }  # fmt: skip
        kept = {name: value for name, value in given.items() if name not in ("version", "secureJsonData")}
        return fresh | kept | {"secureJsonFields": dict.fromkeys(given.get("secureJsonData", {}), True)}

    def _keep(self, uid: str, model: dict[str, Any], folder: str, message: str, by: str) -> int:
        saves = self.boards.setdefault(uid, [])
        version = saves[-1]["version"] + 1 if saves else 1
        number = saves[-1]["data"]["id"] if saves else next(self._ids)
        data = model | {"uid": uid, "version": version, "id": number}
        saves.append({"version": version, "data": data, "folder": folder, "message": message, "by": by})
        return version


def _route(
    method: str, path: str, permission: str, carry_out: Callable[..., Any], body: dict[str, Field] | None = None,
    *query: str,
) -> Route:  # fmt: skip
    pattern = re.sub(r":(\w+)", r"(?P<\1>[^/]+)", path)
    return Route(method, re.compile(f"/api{pattern}"), permission, carry_out, body, frozenset(query))


_G = FakeGrafana
ROUTES = (
    _route("GET", "/health", "", _G.health),
    _route("GET", "/org", "orgs:read", _G.organization),
    _route("GET", "/access-control/user/permissions", "", _G.permissions),
    _route("GET", "/folders/:uid", "folders:read", _G.get_folder),
    _route("POST", "/folders", "folders:create", _G.create_folder, FOLDER),
    _route("GET", "/datasources/uid/:uid", "datasources:read", _G.get_data_source),
    _route("GET", "/datasources/uid/:uid/health", "datasources:query", _G.ask_data_source),
    _route("GET", r"/datasources/:number", "datasources:read", _G.numbered_data_source),
    _route("POST", "/datasources", "datasources:create", _G.create_data_source, DATA_SOURCE),
    _route(
        "PUT",
        "/datasources/uid/:uid",
        "datasources:write",
        _G.update_data_source,
        DATA_SOURCE | {"version": Field(NUMBER)},
    ),
    _route("GET", "/dashboards/uid/:uid", "dashboards:read", _G.get_board),
    _route("GET", "/dashboards/uid/:uid/versions", "dashboards:write", _G.history, None, "limit", "start"),
    _route("POST", "/dashboards/db", "dashboards:write", _G.save_board, SAVE),
    _route("DELETE", "/dashboards/uid/:uid", "dashboards:delete", _G.delete_board),
    _route(
        "GET", "/annotations", "annotations:read", _G.find_annotations, None,
        "from", "to", "limit", "dashboardUID", "panelId", "userId", "type", "tags",
    ),
    _route("POST", "/annotations", "annotations:create", _G.create_annotation, ANNOTATION),
)  # fmt: skip


def _handler(grafana: FakeGrafana) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def meet(self) -> None:
            try:
                grafana.meet(self)
            except OSError:  # who asked has gone
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = meet

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def grafana(version: str = "12.4.0", **how: Any) -> Iterator[FakeGrafana]:
    """A Grafana that runs for the block."""
    server = FakeGrafana(version, **how)
    try:
        yield server
    finally:
        server.stop()
