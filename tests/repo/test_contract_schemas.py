"""What releases store and others read changes compatibly: the published schemas against the code."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from docs.generate import ROOT, SCHEMAS
from docs.reference.published_schemas import Fields, incompatible, schemas, schemas_text

Change = Callable[[dict[str, Fields]], Any]


def test_code_keeps_the_published_schemas() -> None:
    published = SCHEMAS.read_text(encoding="utf-8")
    assert incompatible(json.loads(published), schemas()) == []
    assert schemas_text(published) == published, "run `.venv/bin/python -m docs.generate`"
    assert ROOT / "docs" / "contracts" in SCHEMAS.parents


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda now: now.pop("Verdict"), "Verdict is missing"),
        (lambda now: now["lake predictions"].pop("score"), "lake predictions.score is missing"),
        (
            lambda now: now["lake predictions"]["score"].update(type="float"),
            "lake predictions.score has another type",
        ),
        (
            lambda now: now["lake predictions"]["score"].update(required=True),
            "lake predictions.score is now required",
        ),
        (
            lambda now: now["lake outcomes"]["observed_at"].update(required=False),
            "lake outcomes.observed_at is no longer required",
        ),
        (
            lambda now: now["Release"].update(colour={"type": "string", "required": True}),
            "Release.colour is new and required",
        ),
        (lambda now: now["Verdict"]["state"]["type"]["enum"].remove("ok"), "Verdict.state has another type"),
    ],
)
def test_change_that_breaks_readers_is_named(change: Change, said: str) -> None:
    now = copy.deepcopy(schemas())
    change(now)
    assert incompatible(schemas(), now) == [said]


@pytest.mark.parametrize(
    "change",
    [
        lambda now: now["Release"].update(colour={"type": "string", "required": False}),
        lambda now: now.update(other={}),
        lambda now: now["Verdict"]["state"]["type"]["enum"].append("unsure"),
    ],
)
def test_further_optional_fields_and_values_are_compatible(change: Change) -> None:
    now = copy.deepcopy(schemas())
    change(now)
    assert incompatible(schemas(), now) == []


def test_generator_does_not_publish_what_breaks_readers() -> None:
    published = schemas()
    published["lake predictions"]["former"] = {"type": "string", "required": False}
    with pytest.raises(ValueError, match="former is missing. Add an optional field instead"):
        schemas_text(json.dumps(published))
