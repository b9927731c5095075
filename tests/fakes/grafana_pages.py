"""What Grafana's pages about its HTTP API say of permissions, bodies and refusals (v11.6, v12.4, v13.3).

folders        https://grafana.com/docs/grafana/latest/developers/http_api/folder/
boards         https://grafana.com/docs/grafana/latest/developers/http_api/dashboard/
history        https://grafana.com/docs/grafana/latest/developers/http_api/dashboard_versions/
data sources   https://grafana.com/docs/grafana/latest/developers/http_api/data_source/
annotations    https://grafana.com/docs/grafana/latest/developers/http_api/annotations/
organization   https://grafana.com/docs/grafana/latest/developers/http_api/org/
health         https://grafana.com/docs/grafana/latest/developers/http_api/other/
permissions    https://grafana.com/docs/grafana/latest/administration/service-accounts/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["Viewer", "Editor", "Admin"]

_VIEWER = {"orgs:read", "folders:read", "dashboards:read", "annotations:read", "datasources:query"}
_EDITOR = _VIEWER | {
    "folders:create", "folders:write", "dashboards:create", "dashboards:write", "annotations:create",
    "annotations:write", "annotations:delete",
}  # fmt: skip
_ADMIN = _EDITOR | {"datasources:read", "datasources:create", "datasources:write", "datasources:delete"}
PERMISSIONS: dict[str, set[str]] = {"Viewer": _VIEWER, "Editor": _EDITOR, "Admin": _ADMIN}


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str, /, **more: object) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message} | more


@dataclass(frozen=True)
class Field:
    """A field of a body: its `kind`, and whether it `must` be there."""

    kind: type | tuple[type, ...]
    must: bool = False


TEXT, TRUTH, NUMBER = str, bool, int
FOLDER = {
    "uid": Field(TEXT),
    "title": Field(TEXT, must=True),
    "parentUid": Field(TEXT),
    "description": Field(TEXT),
}
DATA_SOURCE = {
    "uid": Field(TEXT), "name": Field(TEXT, must=True), "type": Field(TEXT, must=True), "access": Field(TEXT, must=True),
    "url": Field(TEXT), "user": Field(TEXT), "database": Field(TEXT), "basicAuth": Field(TRUTH),
    "basicAuthUser": Field(TEXT), "withCredentials": Field(TRUTH), "isDefault": Field(TRUTH), "jsonData": Field(dict),
    "secureJsonData": Field(dict),
}  # fmt: skip
SAVE = {
    "dashboard": Field(dict, must=True), "folderUid": Field(TEXT), "message": Field(TEXT), "overwrite": Field(TRUTH),
}  # fmt: skip
BOARD = {
    "id": Field((NUMBER, type(None))), "uid": Field((TEXT, type(None))), "title": Field(TEXT, must=True),
    "tags": Field(list), "timezone": Field(TEXT), "schemaVersion": Field(NUMBER), "version": Field(NUMBER),
    "refresh": Field(TEXT), "panels": Field(list), "templating": Field(dict), "annotations": Field(dict),
    "time": Field(dict),
}  # fmt: skip
ANNOTATION = {
    "dashboardUID": Field(TEXT), "panelId": Field(NUMBER), "time": Field(NUMBER), "timeEnd": Field(NUMBER),
    "tags": Field(list), "text": Field(TEXT, must=True),
}  # fmt: skip


def wrong_fields(body: dict[str, Any], form: dict[str, Field], *, closed: bool = True) -> list[str]:
    """What is wrong with a body: fields that are missing, of another type, or (`closed`) not known."""
    wrong = [f"{name} is missing" for name, one in form.items() if one.must and name not in body]
    for name, value in body.items():
        if name not in form:
            wrong += [f"unknown field {name}"] if closed else []
        elif not isinstance(value, form[name].kind) or (
            isinstance(value, bool) and form[name].kind is NUMBER
        ):
            wrong.append(f"{name} is {type(value).__name__}")
    return wrong


def check_uid(uid: str) -> None:
    """Grafana's rule for uids."""
    if len(uid) > 40:
        raise Refusal(400, "uid too long, max 40 characters")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", uid):
        raise Refusal(400, "uid contains illegal characters")
