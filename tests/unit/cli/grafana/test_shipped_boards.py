"""The boards that ship, and how a published one is known again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.grafana.shipped_boards import (
    SHIPPED,
    ShippedBoard,
    board_state,
    current_data_source,
    published_digest,
    read_boards,
)
from shared.errors import OperatorError
from shared.grafana.interface import Board, Save

MODEL: dict[str, Any] = {
    "uid": "homeostat-loop",
    "title": "Homeostat: the loop",
    "version": 1,
    "templating": {
        "list": [
            {"name": "model", "type": "query", "current": {"text": "All", "value": "$__all"}},
            {"name": "datasource", "type": "datasource", "current": {"text": "Prometheus", "value": "homeostat-prometheus"}},
            {"name": "logs", "type": "datasource", "current": {"text": "Loki", "value": "loki"}},
        ]
    },
}  # fmt: skip
OURS = ShippedBoard("homeostat-loop", "Homeostat: the loop", MODEL)
NEWER = ShippedBoard("homeostat-loop", "Homeostat: the loop", MODEL | {"refresh": "1m"})


def there(model: dict[str, Any] = MODEL, folder: str = "homeostat", **more: Any) -> Board:
    return Board("homeostat-loop", "Homeostat: the loop", model, folder, 3, **more)


def saved(*messages: str) -> list[Save]:
    return [Save(len(messages) - place, message, "sa-1") for place, message in enumerate(messages)]


def test_shipped_boards_are_valid() -> None:
    boards = read_boards(SHIPPED)
    assert "homeostat-loop" in [board.uid for board in boards]
    for board in boards:
        assert len(board.uid) <= 40, "Grafana takes no longer uid"
        assert current_data_source(board.with_data_source("mine", "Mine").model) == ("mine", "Mine")
        assert len(board.message()) <= 500, "Grafana takes no longer message"


def test_data_source_changes_only_its_variable() -> None:
    pointed = OURS.with_data_source("mine", "Mine")
    assert current_data_source(OURS.model) == ("homeostat-prometheus", "Prometheus")
    assert [variable["current"]["value"] for variable in pointed.model["templating"]["list"]] == [
        "$__all",
        "mine",
        "loki",
    ]
    assert {**pointed.model, "templating": MODEL["templating"]} == MODEL


def test_digest_depends_on_content() -> None:
    assert (
        OURS.digest == ShippedBoard("u", "t", dict(reversed(MODEL.items())) | {"version": 9, "id": 4}).digest
    )
    assert OURS.digest != NEWER.digest != OURS.with_data_source("mine", "Mine").digest


def test_each_save_has_its_own_message() -> None:
    assert OURS.message() != OURS.message()
    assert published_digest(saved(OURS.message(), OURS.message())) == OURS.digest


def test_missing_board() -> None:
    assert board_state(None, None, OURS) == "missing"


def test_state_follows_our_last_save() -> None:
    rewritten = MODEL | {"schemaVersion": 99, "preload": False}
    assert board_state(there(rewritten), saved(OURS.message()), OURS) == "same"
    assert board_state(there(rewritten), saved(OURS.message(), "by hand"), NEWER) == "older"


def test_later_save_is_an_edit() -> None:
    edited = MODEL | {"title": "Mine"}
    assert board_state(there(edited), saved("", OURS.message()), OURS) == "edited"
    assert board_state(there(edited), saved("nicer colours"), OURS) == "edited"
    assert board_state(there(edited), saved("Restored from version 1", OURS.message()), NEWER) == "edited"


def test_save_with_copied_message_is_an_edit() -> None:
    ours = OURS.message()
    assert board_state(there(MODEL | {"title": "Mine"}), saved(ours, ours), OURS) == "edited"


def test_same_content_needs_no_history() -> None:
    assert board_state(there(MODEL | {"id": 7, "version": 3}), saved("imported by hand"), OURS) == "same"
    assert board_state(there(), None, OURS) == "same"
    assert board_state(there(MODEL | {"title": "Mine"}), None, OURS) == "edited"


def test_board_in_another_folder_was_moved() -> None:
    assert board_state(there(folder="team-a"), saved(OURS.message()), OURS) == "moved"


def test_provisioned_board() -> None:
    assert board_state(there(provisioned=True), None, OURS) == "provisioned"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "contains no boards"),
        ({"a.json": "{"}, "is not valid JSON"),
        ({"a.json": "[]"}, "is not a board"),
        ({"a.json": '{"title": "x"}'}, "is not a board"),
        ({"a.json": json.dumps(MODEL), "b.json": json.dumps(MODEL)}, "several boards"),
    ],
)
def test_folder_without_boards_is_refused(tmp_path: Path, files: dict[str, str], words: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(OperatorError, match=words):
        read_boards(tmp_path)
