"""The Grafana operations we use, as an interface. `client.py` implements it for a real Grafana."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from shared.errors import DependencyUnavailable, OperatorError

Json = Mapping[str, Any]


class GrafanaUnavailable(DependencyUnavailable):
    """Grafana did not accept the request (no connection, overloaded): nothing happened, so it is safe to retry."""


class GrafanaOutcomeUnknown(DependencyUnavailable):
    """The request was sent and its result is unknown (timeout, broken connection, server error): it may have been carried out.
    Check before retrying a request that is not idempotent."""


class GrafanaUnauthorized(OperatorError):
    """Grafana rejects the credentials (401)."""


class GrafanaForbidden(OperatorError):
    """The credentials lack a permission (403); the hint names it."""


@dataclass(frozen=True)
class Health:
    """Grafana's health. `version` is empty if the installation hides it."""

    version: str
    database: str


@dataclass(frozen=True)
class Login:
    """The organization that the credentials belong to."""

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
    jsonData. `user`, `password`: how Grafana logs in there; `ca`: the CA certificates (PEM) it trusts. Grafana never shows
    secrets, so one that was read has none."""

    uid: str
    name: str
    kind: str
    url: str
    is_default: bool = False
    read_only: bool = False
    options: Json | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = field(default="", repr=False)


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
    """A point annotation, shown by boards that query its tags; only on `board_uid` if one is given."""

    text: str
    tags: tuple[str, ...]
    at: datetime
    board_uid: str = ""

    @property
    def milliseconds(self) -> int:
        """The time in milliseconds since the epoch. A time without a zone is UTC."""
        at = self.at if self.at.tzinfo is not None else self.at.replace(tzinfo=UTC)
        return round(at.timestamp() * 1000)


class GrafanaInterface(Protocol):
    """One organization of one Grafana, 11 or newer.

    Every method returns or raises within a bounded time: GrafanaUnavailable or GrafanaOutcomeUnknown (see there),
    GrafanaUnauthorized, GrafanaForbidden, OperatorError if the server is not Grafana, CallerError with Grafana's message for
    other client errors, Conflict if the state has changed. Finding something that does not exist returns None.
    """

    def health(self) -> Health:
        """Grafana's health; needs no credentials."""
        ...

    def check_login(self) -> Login:
        """The organization of the credentials."""
        ...

    def permissions(self) -> Mapping[str, Sequence[str]] | None:
        """Permissions (action → scopes); None if this Grafana does not report them."""
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
        """Replace the data source that has the same uid; other fields stay unchanged."""
        ...

    def check_data_source(self, uid: str) -> str:
        """Health check of the data source by Grafana; its message. DependencyUnavailable if the source is not reachable."""
        ...

    def find_board(self, uid: str) -> Board | None:
        """The board with this uid."""
        ...

    def board_history(self, uid: str) -> Sequence[Save] | None:
        """The two newest saves of a board, newest first; None if this Grafana does not report it."""
        ...

    def save_board(self, model: Json, folder_uid: str, message: str, *, replaces: Board | None) -> int:
        """Save a board below the folder; returns its new version. `replaces` is the board as it was read, None for a new one:
        Conflict if Grafana has another version."""
        ...

    def add_annotation(self, annotation: Annotation) -> None:
        """Write an annotation. Not safe to repeat: after GrafanaOutcomeUnknown check `has_annotation` first."""
        ...

    def has_annotation(self, annotation: Annotation) -> bool:
        """Whether an annotation with this time, text and tags exists."""
        ...
