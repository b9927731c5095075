"""The adapter for a real Grafana, on the library grafana-api (see docs/adr/0014-grafana-api-behind-an-interface.md).

Gaps of the library are closed here, and nowhere else:

    gap                                                     added here
    empty responses (204) and proxy pages raise             `GrafanaSession` gives it only JSON, or raises our errors
    a message that is text or null breaks its own errors    the same
    redirects are followed, a POST then becomes a GET       never followed: credentials go to the configured host only
    the timeout is per read, a slow response never ends     `Deadline` limits the complete call
    data sources by uid, annotations on a board by uid,     its raw verbs
      history, health, permissions
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import requests
from grafana_api.grafana_api import GrafanaException
from grafana_api.grafana_face import GrafanaFace

from shared.errors import DependencyUnavailable, NotFound, OperatorError
from shared.grafana.access import GrafanaAccess
from shared.grafana.deadline import Deadline
from shared.grafana.error_mapping import NOT_GRAFANA, GrafanaClientError, error_for
from shared.grafana.interface import (
    Annotation,
    Board,
    DataSource,
    Folder,
    Health,
    Json,
    Login,
    Save,
)
from shared.grafana.session import GrafanaSession
from shared.grafana.transport_errors import transport_error
from shared.grafana.wire_format import (
    data_source_body,
    number_of,
    read_board,
    read_data_source,
    read_save,
    text_of,
)

TIMEOUT_S = 5.0
DEADLINE_S = 15.0


class GrafanaClient:
    """`GrafanaInterface` for the Grafana that `access` names. One call at a time. `timeout_s` bounds connecting and each wait for
    bytes, `deadline_s` the whole call."""

    def __init__(
        self, access: GrafanaAccess, *, timeout_s: float = TIMEOUT_S, deadline_s: float = DEADLINE_S
    ) -> None:
        self.url = access.url.rstrip("/")
        self._access = access
        self._deadline = Deadline(self.url, deadline_s)
        parts = urlsplit(access.url)
        host = parts.hostname or ""
        prefix = parts.path.strip("/")
        # As bytes: the library would let names beyond Latin-1 fail with the password in the error.
        login = access.token or (access.user.encode(), access.password.encode())
        self._grafana: Any = GrafanaFace(
            login,
            host=f"[{host}]" if ":" in host else host,
            port=parts.port,
            url_path_prefix=f"{prefix}/" if prefix else "",
            protocol=parts.scheme,
            verify=True,
            timeout=timeout_s,
        )
        self._session = GrafanaSession(self.url)
        if access.ca:
            self._session.verify = access.ca
        # Proxy and certificate settings of the environment apply, except for loopback addresses.
        self._session.trust_env = not _is_loopback(host)
        self._grafana.api.s = self._session

    def close(self) -> None:
        """Close the connections kept open."""
        self._session.close()

    def health(self) -> Health:
        """Grafana's health."""
        found = self._object(lambda: self._grafana.api.GET("/health"), "report its health")
        if "database" not in found:
            raise OperatorError(f"the server at {self.url} is not Grafana", hint=NOT_GRAFANA)
        return Health(version=text_of(found, "version"), database=text_of(found, "database"))

    def check_login(self) -> Login:
        """The organization of the credentials."""
        found = self._object(
            self._grafana.organization.get_current_organization,
            "read our organization",
            "orgs:read (role Viewer)",
        )
        return Login(organization_id=number_of(found, "id"), organization=text_of(found, "name"))

    def permissions(self) -> Mapping[str, Sequence[str]] | None:
        """The permissions of the credentials."""
        found = self._find(
            lambda: self._grafana.api.GET("/access-control/user/permissions"), "list our permissions"
        )
        return None if found is None else {name: list(scopes or ()) for name, scopes in found.items()}

    def find_folder(self, uid: str) -> Folder | None:
        """The folder with this uid."""
        found = self._find(
            lambda: self._grafana.folder.get_folder(_segment(uid)),
            "read folders",
            "folders:read (role Viewer)",
        )
        return None if found is None else Folder(uid=text_of(found, "uid"), title=text_of(found, "title"))

    def create_folder(self, folder: Folder) -> None:
        """Create a folder."""
        self._object(
            lambda: self._grafana.folder.create_folder(folder.title, folder.uid),
            f"create the folder {folder.uid}",
            "folders:create (role Editor)",
        )

    def find_data_source(self, uid: str) -> DataSource | None:
        """The data source with this uid."""
        found = self._raw_data_source(uid)
        return None if found is None else read_data_source(found)

    def create_data_source(self, source: DataSource) -> None:
        """Create a data source."""
        self._object(
            lambda: self._grafana.datasource.create_datasource(data_source_body(source)),
            f"create the data source {source.uid}",
            "datasources:create (role Admin)",
        )

    def update_data_source(self, source: DataSource) -> None:
        """1. Read it, with its version. 2. Put it back with our changes: Grafana replaces what it has, except secrets."""
        found = self._raw_data_source(source.uid)
        if found is None:
            raise NotFound(f"Grafana at {self.url} has no data source {source.uid}")
        body = data_source_body(source, found)
        self._object(
            lambda: self._grafana.api.PUT(f"/datasources/uid/{_segment(source.uid)}", json=body),
            f"change the data source {source.uid}",
            "datasources:write (role Admin)",
        )

    def check_data_source(self, uid: str) -> str:
        """Health check of the data source by Grafana."""
        try:
            found = self._object(
                lambda: self._grafana.api.GET(f"/datasources/uid/{_segment(uid)}/health"),
                f"query the data source {uid}",
                "datasources:query (role Viewer)",
            )
        except GrafanaClientError as error:  # Grafana responds 400 if the data source is not reachable
            raise DependencyUnavailable(
                f"Grafana at {self.url} cannot reach its data source {uid}: {error.grafana_message}",
                hint="check the data source's URL as seen from Grafana's host",
            ) from None
        return text_of(found, "message")

    def find_board(self, uid: str) -> Board | None:
        """The board with this uid."""
        found = self._find(
            lambda: self._grafana.dashboard.get_dashboard(_segment(uid)),
            "read boards",
            "dashboards:read (role Viewer)",
        )
        if found is None:
            return None
        board = read_board(found)
        if board is None:
            raise self._unexpected_format("read boards")
        return board

    def board_history(self, uid: str) -> Sequence[Save] | None:
        """The newest saves of a board."""
        found = self._call(
            lambda: self._grafana.api.GET(f"/dashboards/uid/{_segment(uid)}/versions?limit=2"),
            "read the history of boards",
            "dashboards:write (role Editor)",
            absent=True,
        )
        if isinstance(found, dict):  # since Grafana 12; before, the list stands alone
            found = found.get("versions")
        if found is None:
            return None
        if not isinstance(found, list) or not all(isinstance(save, dict) for save in found):
            raise self._unexpected_format("read the history of boards")
        return sorted(map(read_save, found), key=lambda save: save.version, reverse=True)

    def save_board(self, model: Json, folder_uid: str, message: str, *, replaces: Board | None) -> int:
        """Save a board. `overwrite` stays false: the version sent is the precondition. Number, uid and version go together, as
        Grafana's own pages send them."""
        sent = {name: value for name, value in model.items() if name != "version"} | {"id": None}
        if replaces is not None:
            sent |= {"id": number_of(replaces.model, "id") or None, "version": replaces.version}
        body = {"dashboard": sent, "folderUid": folder_uid, "message": message, "overwrite": False}
        saved = self._object(
            lambda: self._grafana.dashboard.update_dashboard(body),
            f"save the board {model.get('uid')}",
            "dashboards:create and dashboards:write (role Editor)",
        )
        return number_of(saved, "version")

    def add_annotation(self, annotation: Annotation) -> None:
        """Write an annotation."""
        body: dict[str, object] = {
            "text": annotation.text,
            "tags": list(annotation.tags),
            "time": annotation.milliseconds,
        }
        if annotation.board_uid:
            body["dashboardUID"] = annotation.board_uid
        self._object(
            lambda: self._grafana.api.POST("/annotations", json=body),
            "write annotations",
            "annotations:create (role Editor)",
        )

    def has_annotation(self, annotation: Annotation) -> bool:
        """Whether the annotation exists."""
        at = annotation.milliseconds
        query = [("from", str(at)), ("to", str(at)), ("type", "annotation"), ("limit", "100")]
        query += [("tags", tag) for tag in annotation.tags]
        if annotation.board_uid:
            query.append(("dashboardUID", annotation.board_uid))
        found = self._call(
            lambda: self._grafana.api.GET(f"/annotations?{urlencode(query)}"),
            "read annotations",
            "annotations:read (role Viewer)",
        )
        if not isinstance(found, list):
            raise self._unexpected_format("read annotations")
        return any(
            isinstance(one, dict) and one.get("text") == annotation.text and one.get("time") == at
            for one in found
        )

    def _raw_data_source(self, uid: str) -> dict[str, Any] | None:
        return self._find(
            lambda: self._grafana.api.GET(f"/datasources/uid/{_segment(uid)}"),
            "read data sources",
            "datasources:read (role Admin)",
        )

    def _find(self, call: Callable[[], Any], doing: str, needs: str = "") -> dict[str, Any] | None:
        found = self._call(call, doing, needs, absent=True)
        if found is not None and not isinstance(found, dict):
            raise self._unexpected_format(doing)
        return found

    def _object(self, call: Callable[[], Any], doing: str, needs: str = "") -> dict[str, Any]:
        found = self._call(call, doing, needs)
        if not isinstance(found, dict):
            raise self._unexpected_format(doing)
        return found

    def _call(self, call: Callable[[], Any], doing: str, needs: str = "", *, absent: bool = False) -> Any:
        """Grafana's response; None for a 404 if `absent` is allowed."""
        try:
            return self._deadline.run(call)
        except GrafanaException as error:
            if error.status_code == 404 and absent:
                return None
            raise error_for(self._access, error.status_code, error.response, doing, needs) from None
        except requests.RequestException as error:
            # Neither chained nor quoted: the library's message may contain what we sent.
            raise transport_error(self.url, error) from None

    def _unexpected_format(self, doing: str) -> OperatorError:
        return OperatorError(
            f"the server at {self.url} did not {doing} in the format of Grafana", hint=NOT_GRAFANA
        )


def _segment(name: str) -> str:
    return quote(name, safe="")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
