"""What we need of a Grafana, in our words. `client.py` is the one implementation that speaks to a real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from shared.errors import DependencyUnavailable, OperatorError

Json = Mapping[str, Any]


class GrafanaAway(DependencyUnavailable):
    """Grafana did not take the request now (no connection, too busy): nothing happened there, the same may be sent again."""


class GrafanaUnsure(DependencyUnavailable):
    """The request went out and no good answer came back (timeout, broken connection, fault of Grafana): it may have been
    carried out. Look before sending what would then be there twice."""


class GrafanaLoginRefused(OperatorError):
    """Grafana does not know the token or the user (401)."""


class GrafanaPermissionMissing(OperatorError):
    """The login is known but may not do this (403); the hint names the permission."""


@dataclass(frozen=True)
class Health:
    """What Grafana says of itself. `version` is empty where the installation hides it."""

    version: str
    database: str


@dataclass(frozen=True)
class Login:
    """Whom Grafana takes us for: the `organization` the login belongs to."""

    organization_id: int
    organization: str


@dataclass(frozen=True)
class Folder:
    """A folder of boards."""

    uid: str
    title: str


@dataclass(frozen=True)
class DataSource:
    """A data source. `read_only`: a file on Grafana's side declares it, and Grafana refuses changes. `options` is Grafana's
    jsonData."""

    uid: str
    name: str
    kind: str
    url: str
    is_default: bool = False
    read_only: bool = False
    options: Json | None = None


@dataclass(frozen=True)
class Board:
    """A board as Grafana keeps it: its JSON `model`, the `folder_uid` it lies in ("" for none) and the `version` that each save
    raises. `provisioned`: a file on Grafana's side declares it, and Grafana refuses changes."""

    uid: str
    title: str
    model: Json
    folder_uid: str
    version: int
    provisioned: bool = False


@dataclass(frozen=True)
class Save:
    """One entry of a board's history."""

    version: int
    message: str
    by: str


@dataclass(frozen=True)
class Annotation:
    """A mark at one moment, shown by boards that ask for its tags; on `board_uid` alone where one is given."""

    text: str
    tags: tuple[str, ...]
    at: datetime
    board_uid: str = ""

    @property
    def milliseconds(self) -> int:
        """The moment as Grafana counts it. A moment without a zone is UTC."""
        at = self.at if self.at.tzinfo is not None else self.at.replace(tzinfo=UTC)
        return round(at.timestamp() * 1000)


class GrafanaPort(Protocol):
    """One organization of one Grafana, 11 or newer.

    Every method answers or raises within a bounded time: GrafanaAway or GrafanaUnsure (see there), GrafanaLoginRefused,
    GrafanaPermissionMissing, OperatorError where something else than Grafana answers, CallerError with Grafana's words for a
    request it refuses, Conflict where what the request assumes is no longer so. Looking for what is not there gives None.
    """

    def health(self) -> Health:
        """Whether Grafana works; needs no login."""
        ...

    def check_login(self) -> Login:
        """Whom the login stands for."""
        ...

    def permissions(self) -> Mapping[str, Sequence[str]] | None:
        """What the login may do (action → scopes); None where this Grafana does not say."""
        ...

    def find_folder(self, uid: str) -> Folder | None:
        """The folder with this uid."""
        ...

    def create_folder(self, folder: Folder) -> None:
        """Create a folder. Conflict when the uid is taken."""
        ...

    def find_data_source(self, uid: str) -> DataSource | None:
        """The data source with this uid."""
        ...

    def create_data_source(self, source: DataSource) -> None:
        """Create a data source. Conflict when its name or uid is taken."""
        ...

    def update_data_source(self, source: DataSource) -> None:
        """Replace the data source that has the same uid; what `source` does not speak of stays as it is."""
        ...

    def check_data_source(self, uid: str) -> str:
        """Let Grafana ask the data source; returns its words. DependencyUnavailable when the source does not answer Grafana."""
        ...

    def find_board(self, uid: str) -> Board | None:
        """The board with this uid."""
        ...

    def board_history(self, uid: str) -> Sequence[Save] | None:
        """The two newest saves of a board, newest first; None where this Grafana does not tell."""
        ...

    def save_board(self, model: Json, folder_uid: str, message: str, *, replaces: Board | None) -> int:
        """Save a board below the folder; returns its new version. `replaces` is the board as it was read, None for a new one:
        Conflict when Grafana has another version of it by now."""
        ...

    def add_annotation(self, annotation: Annotation) -> None:
        """Write an annotation. Not safe to repeat: after GrafanaUnsure ask `has_annotation` first."""
        ...

    def has_annotation(self, annotation: Annotation) -> bool:
        """Whether an annotation with this moment, text and tags is there."""
        ...
