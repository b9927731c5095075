"""The boards that ship with Homeostat, and how a published one is known again."""

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
# Grafana numbers a board and its saves itself.
_ITS_OWN = ("id", "version")
_MARK = re.compile(r"\[board ([0-9a-f]{16}) save ([0-9a-f]{8})\]")

Standing = Literal["missing", "same", "older", "edited", "moved", "provisioned"]


@dataclass(frozen=True)
class ShippedBoard:
    """A board as it is to be: its JSON `model`, already pointed at a data source."""

    uid: str
    title: str
    model: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Names the content: two boards with the same digest are the same."""
        return hashlib.sha256(orjson.dumps(content(self.model), option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]

    def pointed_at(self, uid: str, name: str) -> ShippedBoard:
        """The same board, whose variable for the data source begins with the one that has this uid."""
        chosen = {"selected": True, "text": name, "value": uid}
        templating = dict(self.model.get("templating") or {})
        templating["list"] = [
            {**variable, "current": chosen} if _is_data_source(variable) else variable
            for variable in templating.get("list") or []
        ]
        return ShippedBoard(self.uid, self.title, {**self.model, "templating": templating})

    def message(self) -> str:
        """What the history of the board says of a save. The number of the save tells ours from a copy of our words."""
        return f"Published by homeostat [board {self.digest} save {secrets.token_hex(4)}]"


def read_boards(folder: Path = SHIPPED) -> list[ShippedBoard]:
    """Every board of a folder, by name. Raises OperatorError when there are none or one is no board."""
    boards = []
    for path in sorted(folder.glob("*.json")):
        try:
            model = orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError as error:
            raise OperatorError(
                f"{path} is no JSON: {error}", hint="mend the file, or take it out of the folder"
            ) from error
        uid, title = (model.get("uid"), model.get("title")) if isinstance(model, dict) else (None, None)
        if not isinstance(uid, str) or not isinstance(title, str) or not uid or not title:
            raise OperatorError(
                f"{path} is no board: it has no uid or no title", hint="export the board from Grafana again"
            )
        boards.append(ShippedBoard(uid, title, model))
    twice = sorted({one.uid for one in boards if [other.uid for other in boards].count(one.uid) > 1})
    if twice:
        raise OperatorError(
            f"{folder} holds several boards with the uid {twice[0]}",
            hint="give each board a uid of its own",
        )
    if not boards:
        raise OperatorError(
            f"{folder} holds no boards", hint="name the folder with --boards, or install Homeostat again"
        )
    return boards


def standing(found: Board | None, history: Sequence[Save] | None, ours: ShippedBoard) -> Standing:
    """How the board in Grafana stands to ours.

    missing      it is not there
    same         its last save is ours, with this content; or whatever was saved, the content is this
    older        its last save is ours, with other content: only we changed since
    edited       its last save is somebody's
    moved        it lies in another folder than ours
    provisioned  a file on Grafana's machine declares it

    The history is asked before the content: a newer Grafana rewrites what it was given (schema, defaults), and that is no edit.
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
    """The digest that the newest save names, if that save is ours; else empty. A client that sends the last message along when
    it saves repeats the number of our save, and so shows that the newest is not ours."""
    marks = [_MARK.search(save.message) for save in history[:2]]
    if not marks or marks[0] is None:
        return ""
    if len(marks) > 1 and marks[1] is not None and marks[1][2] == marks[0][2]:
        return ""
    return marks[0][1]


def chosen_data_source(model: Mapping[str, Any]) -> tuple[str, str]:
    """Uid and name of the data source a board begins with; empty where it names none."""
    for variable in (model.get("templating") or {}).get("list") or []:
        if _is_data_source(variable):
            current = variable.get("current") or {}
            return str(current.get("value") or ""), str(current.get("text") or "")
    return "", ""


def content(model: Mapping[str, Any]) -> dict[str, Any]:
    """A board without what Grafana numbers itself."""
    return {name: value for name, value in model.items() if name not in _ITS_OWN}


def own_data_source(url: str) -> DataSource:
    """The data source that `homeostat dashboards publish` creates where none is named."""
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
