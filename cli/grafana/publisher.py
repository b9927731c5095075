"""Puts folder, data source and boards into a Grafana, and only what differs.

    1. folder       created where it is missing; never renamed
    2. data source  the one named; else the one the boards there use already; else our own, created, or given the URL named
    3. boards       each: read it and its history, compare, save with the version read as the precondition

What a person changed there stays, and is told, unless it is to be overwritten. A second run finds everything unchanged, also
after a first that broke off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from cli.grafana.shipped_boards import (
    DATA_SOURCE_UID,
    FOLDER,
    ShippedBoard,
    chosen_data_source,
    own_data_source,
    standing,
)
from shared.errors import CallerError, Conflict, NotFound
from shared.grafana.interface import Board, DataSource, GrafanaPermissionMissing, GrafanaPort, Save

Result = Literal["created", "updated", "unchanged", "kept"]


@dataclass(frozen=True)
class Item:
    """One thing that was looked at: `result` is what became of it, `kept` where it differs and was left as it is."""

    kind: Literal["folder", "data source", "board"]
    uid: str
    title: str
    result: Result
    detail: str = ""

    def document(self) -> dict[str, str]:
        """The item for programs."""
        return asdict(self)


@dataclass(frozen=True)
class Wish:
    """What the command line asks for. `prometheus_url` and `data_source_uid` are empty where nothing is said;
    `default_url` is taken for a data source that must be created."""

    prometheus_url: str = ""
    data_source_uid: str = ""
    default_url: str = "http://127.0.0.1:9090"
    overwrite: bool = False
    dry_run: bool = False


class Publication:
    """One run against one Grafana. Raises the port's errors; what was done until then stays done."""

    def __init__(self, grafana: GrafanaPort, boards: Sequence[ShippedBoard], wish: Wish) -> None:
        self._grafana = grafana
        self._boards = boards
        self._wish = wish

    def run(self) -> Iterator[Item]:
        """Each thing as it is done."""
        yield self._folder()
        item, uid, name = self._data_source()
        yield item
        for board in self._boards:
            yield self._board(board.pointed_at(uid, name))

    def _folder(self) -> Item:
        found = self._grafana.find_folder(FOLDER.uid)
        if found is not None:
            return Item("folder", FOLDER.uid, found.title, "unchanged")
        if not self._wish.dry_run:
            self._grafana.create_folder(FOLDER)
        return Item("folder", FOLDER.uid, FOLDER.title, "created")

    def _data_source(self) -> tuple[Item, str, str]:
        if self._wish.data_source_uid:
            return self._named_data_source(self._wish.data_source_uid)
        if not self._wish.prometheus_url and (before := self._chosen_before()):
            return self._named_data_source(before)
        return self._own_data_source()

    def _named_data_source(self, uid: str) -> tuple[Item, str, str]:
        try:
            found = self._grafana.find_data_source(uid)
        except GrafanaPermissionMissing:
            return (
                Item("data source", uid, uid, "unchanged", "taken as named: the login may not look at it"),
                uid,
                uid,
            )
        if found is None:
            raise NotFound(
                f"Grafana has no data source with the uid {uid}",
                hint="look into Connections, Data sources in Grafana; the uid is the end of its page's address",
            )
        if "prometheus" not in found.kind:
            raise CallerError(
                f"the data source {uid} is a {found.kind}; expected one of type prometheus",
                hint="name another with --datasource-uid",
            )
        return Item("data source", uid, found.name, "unchanged", "in use as named"), uid, found.name

    def _own_data_source(self) -> tuple[Item, str, str]:
        found = self._grafana.find_data_source(DATA_SOURCE_UID)
        if found is None:
            return self._new_data_source()
        item = Item("data source", DATA_SOURCE_UID, found.name, "unchanged", found.url)
        if self._wish.prometheus_url and found.url.rstrip("/") != self._wish.prometheus_url.rstrip("/"):
            item = self._changed_data_source(found, item)
        return item, DATA_SOURCE_UID, found.name

    def _new_data_source(self) -> tuple[Item, str, str]:
        source = own_data_source(self._wish.prometheus_url or self._wish.default_url)
        if not self._wish.dry_run:
            try:
                self._grafana.create_data_source(source)
            except Conflict as error:
                raise Conflict(
                    error.message, hint="name the data source to use with --datasource-uid"
                ) from error
        return Item("data source", source.uid, source.name, "created", source.url), source.uid, source.name

    def _changed_data_source(self, found: DataSource, item: Item) -> Item:
        url = self._wish.prometheus_url
        if found.read_only:
            return replace(
                item, result="kept", detail=f"{found.url}, not {url}: a file on Grafana's machine says so"
            )
        if not self._wish.dry_run:
            self._grafana.update_data_source(replace(found, url=url))
        return replace(item, result="updated", detail=f"{found.url} → {url}")

    def _chosen_before(self) -> str:
        """The data source that published boards use, when it is not our own: a run without options keeps it."""
        for board in self._boards:
            found = self._grafana.find_board(board.uid)
            if found is not None and found.folder_uid == FOLDER.uid:
                uid, _ = chosen_data_source(found.model)
                return uid if uid not in ("", DATA_SOURCE_UID) and self._is_there(uid) else ""
        return ""

    def _is_there(self, uid: str) -> bool:
        try:
            return self._grafana.find_data_source(uid) is not None
        except GrafanaPermissionMissing:
            return True

    def _board(self, ours: ShippedBoard) -> Item:
        found = self._grafana.find_board(ours.uid)
        history = None if found is None or found.provisioned else self._grafana.board_history(ours.uid)
        stands = standing(found, history, ours)
        item = Item("board", ours.uid, ours.title, "unchanged")
        if stands == "same":
            return item
        if found is None:
            self._save(ours, None)
            return replace(item, result="created")
        if stands == "provisioned":
            return replace(item, result="kept", detail="a file on Grafana's machine declares it")
        if stands in ("edited", "moved") and not self._wish.overwrite:
            return replace(
                item,
                result="kept",
                detail=f"{_what_happened(stands, found.folder_uid, history)}; --overwrite replaces it",
            )
        self._save(ours, found)
        detail = (
            f"{_what_happened(stands, found.folder_uid, history)}; overwritten" if stands != "older" else ""
        )
        return replace(item, result="updated", detail=detail)

    def _save(self, ours: ShippedBoard, found: Board | None) -> None:
        if self._wish.dry_run:
            return
        try:
            self._grafana.save_board(ours.model, FOLDER.uid, ours.message(), replaces=found)
        except Conflict as error:
            raise Conflict(
                f"somebody saved the board {ours.uid} just now",
                hint="look at it in Grafana, and publish again",
            ) from error


def _what_happened(stands: str, folder_uid: str, history: Sequence[Save] | None) -> str:
    if stands == "moved":
        return f"moved to the folder {folder_uid or 'General'}"
    if not history:
        return "another board of this uid"
    return f"edited by {history[0].by or 'somebody'} (version {history[0].version})"
