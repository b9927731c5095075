"""The boards shipped with Homeostat, and how the state of a published one is determined."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from shared.errors import OperatorError
from shared.grafana.interface import Board, DataSource, Folder, Save

SHIPPED = Path(__file__).parents[2] / "dashboards" / "grafana" / "boards"
FOLDER = Folder(uid="homeostat", title="Homeostat")
DATA_SOURCE_UID = "homeostat-prometheus"
VARIABLE = "datasource"
# Fields that Grafana assigns.
_ASSIGNED = ("id", "version")
_MARK = re.compile(r"\[board ([0-9a-f]{16}) save ([0-9a-f]{8})\]")

BoardState = Literal["missing", "same", "older", "edited", "moved", "provisioned"]


@dataclass(frozen=True)
class ShippedBoard:
    """A board to publish: its JSON `model` with the data source set."""

    uid: str
    title: str
    model: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Digest of the content."""
        return hashlib.sha256(orjson.dumps(content(self.model), option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]

    def with_data_source(self, uid: str, name: str) -> ShippedBoard:
        """The same board with this data source as the current value of its variable."""
        chosen = {"selected": True, "text": name, "value": uid}
        templating = dict(self.model.get("templating") or {})
        templating["list"] = [
            {**variable, "current": chosen} if _is_data_source(variable) else variable
            for variable in templating.get("list") or []
        ]
        return ShippedBoard(self.uid, self.title, {**self.model, "templating": templating})

    def message(self) -> str:
        """The message of a save in the board's history. Its random number distinguishes our save from a copied message."""
        return f"Published by homeostat [board {self.digest} save {secrets.token_hex(4)}]"


def read_boards(folder: Path = SHIPPED) -> list[ShippedBoard]:
    """Every board of a folder, by name. Raises OperatorError when there are none or one is no board."""
    boards = []
    for path in sorted(folder.glob("*.json")):
        try:
            model = orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError as error:
            raise OperatorError(
                f"{path} is not valid JSON: {error}", hint="fix the file or remove it from the folder"
            ) from error
        uid, title = (model.get("uid"), model.get("title")) if isinstance(model, dict) else (None, None)
        if not isinstance(uid, str) or not isinstance(title, str) or not uid or not title:
            raise OperatorError(
                f"{path} is not a board: it has no uid or no title",
                hint="export the board from Grafana again",
            )
        boards.append(ShippedBoard(uid, title, model))
    twice = sorted({one.uid for one in boards if [other.uid for other in boards].count(one.uid) > 1})
    if twice:
        raise OperatorError(
            f"{folder} contains several boards with the uid {twice[0]}",
            hint="give each board its own uid",
        )
    if not boards:
        raise OperatorError(
            f"{folder} contains no boards", hint="set the folder with --boards, or reinstall Homeostat"
        )
    return boards


def board_state(found: Board | None, history: Sequence[Save] | None, ours: ShippedBoard) -> BoardState:
    """The state of the board in Grafana compared to ours.

    missing      it does not exist
    same         its last save is ours with this content, or its content is the same
    older        its last save is ours with other content
    edited       its last save is from another user
    moved        it is in another folder
    provisioned  it is provisioned from a file

    The history is compared before the content: a newer Grafana rewrites a board (schema, defaults), which is not an edit.
    """
    if found is None:
        return "missing"
    if found.provisioned:
        return "provisioned"
    if found.folder_uid != FOLDER.uid:
        return "moved"
    last = published_digest(history or ())
    if last == ours.digest or content(found.model) == content(ours.model):
        return "same"
    return "older" if last else "edited"


def published_digest(history: Sequence[Save]) -> str:
    """The digest in the message of the newest save if that save is ours; else empty. A client that repeats the last message when
    it saves repeats our save's number, which shows that the newest save is not ours."""
    marks = [_MARK.search(save.message) for save in history[:2]]
    if not marks or marks[0] is None:
        return ""
    if len(marks) > 1 and marks[1] is not None and marks[1][2] == marks[0][2]:
        return ""
    return marks[0][1]


def current_data_source(model: Mapping[str, Any]) -> tuple[str, str]:
    """Uid and name of a board's current data source; empty if it has none."""
    for variable in (model.get("templating") or {}).get("list") or []:
        if _is_data_source(variable):
            current = variable.get("current") or {}
            return str(current.get("value") or ""), str(current.get("text") or "")
    return "", ""


def content(model: Mapping[str, Any]) -> dict[str, Any]:
    """A board without the fields that Grafana assigns."""
    return {name: value for name, value in model.items() if name not in _ASSIGNED}


def own_data_source(url: str) -> DataSource:
    """The data source that `homeostat dashboards publish` creates by default."""
    return DataSource(
        uid=DATA_SOURCE_UID,
        name="Homeostat Prometheus",
        kind="prometheus",
        url=url,
        options={"httpMethod": "POST"},
    )


def _is_data_source(variable: Any) -> bool:
    return (
        isinstance(variable, dict)
        and variable.get("type") == "datasource"
        and variable.get("name") == VARIABLE
    )
