"""Publishes folder, data source and boards to Grafana; writes only what differs.

    1. folder       created where it is missing; never renamed
    2. data source  the given one; else the one the published boards use; else our own, created or updated with the given URL
    3. boards       each: read it and its history, compare, save with the version read as precondition

A board that a person edited is kept and reported, unless `overwrite` is set. A second run changes nothing, also after an
interrupted one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from cli.grafana.shipped_boards import (
    DATA_SOURCE_UID,
    FOLDER,
    ShippedBoard,
    board_state,
    current_data_source,
    own_data_source,
)
from shared.errors import CallerError, Conflict, NotFound
from shared.grafana.interface import Board, DataSource, GrafanaForbidden, GrafanaInterface, Save
from shared.observability.monitoring_login import MonitoringLogin

Result = Literal["created", "updated", "unchanged", "kept"]


@dataclass(frozen=True)
class Item:
    """One folder, data source or board, and its `result`; `kept` means it differs and was not changed."""

    kind: Literal["folder", "data source", "board"]
    uid: str
    title: str
    result: Result
    detail: str = ""

    def document(self) -> dict[str, str]:
        """The item for programs."""
        return asdict(self)


@dataclass(frozen=True)
class PublishOptions:
    """Options of the command. Empty `prometheus_url` and `data_source_uid` mean not given; `default_url` is used for a new data
    source. `login` and `ca` (PEM): how Grafana logs in at that Prometheus, and which CA it trusts; for a data source that is
    created or gets another URL."""

    prometheus_url: str = ""
    data_source_uid: str = ""
    default_url: str = "http://127.0.0.1:9090"
    overwrite: bool = False
    dry_run: bool = False
    login: MonitoringLogin | None = None
    ca: str = field(default="", repr=False)


class Publication:
    """One publication to one Grafana. Raises the errors of the interface; earlier changes stay."""

    def __init__(
        self, grafana: GrafanaInterface, boards: Sequence[ShippedBoard], options: PublishOptions
    ) -> None:
        self._grafana = grafana
        self._boards = boards
        self._options = options

    def run(self) -> Iterator[Item]:
        """Publish, yielding each item when it is done."""
        yield self._folder()
        item, uid, name = self._data_source()
        yield item
        for board in self._boards:
            yield self._board(board.with_data_source(uid, name))

    def _folder(self) -> Item:
        found = self._grafana.find_folder(FOLDER.uid)
        if found is not None:
            return Item("folder", FOLDER.uid, found.title, "unchanged")
        if not self._options.dry_run:
            self._grafana.create_folder(FOLDER)
        return Item("folder", FOLDER.uid, FOLDER.title, "created")

    def _data_source(self) -> tuple[Item, str, str]:
        if self._options.data_source_uid:
            return self._named_data_source(self._options.data_source_uid)
        if not self._options.prometheus_url and (before := self._chosen_before()):
            return self._named_data_source(before)
        return self._own_data_source()

    def _named_data_source(self, uid: str) -> tuple[Item, str, str]:
        try:
            found = self._grafana.find_data_source(uid)
        except GrafanaForbidden:
            return (
                Item(
                    "data source",
                    uid,
                    uid,
                    "unchanged",
                    "used without a check: the credentials do not permit reading it",
                ),
                uid,
                uid,
            )
        if found is None:
            raise NotFound(
                f"Grafana has no data source with the uid {uid}",
                hint="see Connections, Data sources in Grafana; the uid is the last segment of its page's URL",
            )
        if "prometheus" not in found.kind:
            raise CallerError(
                f"the data source {uid} is a {found.kind}; expected one of type prometheus",
                hint="give another with --datasource-uid",
            )
        return Item("data source", uid, found.name, "unchanged", "used as given"), uid, found.name

    def _own_data_source(self) -> tuple[Item, str, str]:
        found = self._grafana.find_data_source(DATA_SOURCE_UID)
        if found is None:
            return self._new_data_source()
        item = Item("data source", DATA_SOURCE_UID, found.name, "unchanged", found.url)
        if self._options.prometheus_url and found.url.rstrip("/") != self._options.prometheus_url.rstrip("/"):
            item = self._changed_data_source(found, item)
        return item, DATA_SOURCE_UID, found.name

    def _new_data_source(self) -> tuple[Item, str, str]:
        source = self._with_login(own_data_source(self._options.prometheus_url or self._options.default_url))
        if not self._options.dry_run:
            try:
                self._grafana.create_data_source(source)
            except Conflict as error:
                raise Conflict(error.message, hint="choose the data source with --datasource-uid") from error
        return Item("data source", source.uid, source.name, "created", source.url), source.uid, source.name

    def _changed_data_source(self, found: DataSource, item: Item) -> Item:
        url = self._options.prometheus_url
        if found.read_only:
            return replace(
                item, result="kept", detail=f"{found.url}, not {url}: it is provisioned from a file"
            )
        if not self._options.dry_run:
            self._grafana.update_data_source(self._with_login(replace(found, url=url)))
        return replace(item, result="updated", detail=f"{found.url} → {url}")

    def _with_login(self, source: DataSource) -> DataSource:
        login, ca = self._options.login, self._options.ca if source.url.startswith("https://") else ""
        return replace(
            source, user=login.user if login else "", password=login.password if login else "", ca=ca
        )

    def _chosen_before(self) -> str:
        """The data source that published boards use, when it is not our own: a run without options keeps it."""
        for board in self._boards:
            found = self._grafana.find_board(board.uid)
            if found is not None and found.folder_uid == FOLDER.uid:
                uid, _ = current_data_source(found.model)
                return uid if uid not in ("", DATA_SOURCE_UID) and self._is_there(uid) else ""
        return ""

    def _is_there(self, uid: str) -> bool:
        try:
            return self._grafana.find_data_source(uid) is not None
        except GrafanaForbidden:
            return True

    def _board(self, ours: ShippedBoard) -> Item:
        found = self._grafana.find_board(ours.uid)
        history = None if found is None or found.provisioned else self._grafana.board_history(ours.uid)
        state = board_state(found, history, ours)
        item = Item("board", ours.uid, ours.title, "unchanged")
        if state == "same":
            return item
        if found is None:
            self._save(ours, None)
            return replace(item, result="created")
        if state == "provisioned":
            return replace(item, result="kept", detail="provisioned from a file")
        if state in ("edited", "moved") and not self._options.overwrite:
            return replace(
                item,
                result="kept",
                detail=f"{_difference(state, found.folder_uid, history)}; --overwrite replaces it",
            )
        self._save(ours, found)
        detail = f"{_difference(state, found.folder_uid, history)}; overwritten" if state != "older" else ""
        return replace(item, result="updated", detail=detail)

    def _save(self, ours: ShippedBoard, found: Board | None) -> None:
        if self._options.dry_run:
            return
        try:
            self._grafana.save_board(ours.model, FOLDER.uid, ours.message(), replaces=found)
        except Conflict as error:
            raise Conflict(
                f"the board {ours.uid} was saved by another user meanwhile",
                hint="check it in Grafana and publish again",
            ) from error


def _difference(state: str, folder_uid: str, history: Sequence[Save] | None) -> str:
    if state == "moved":
        return f"moved to the folder {folder_uid or 'General'}"
    if not history:
        return "a different board with this uid"
    return f"edited by {history[0].by or 'unknown user'} (version {history[0].version})"
