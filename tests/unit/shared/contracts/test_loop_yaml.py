from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import parse_loop_spec, read_loop_spec
from shared.errors import InvalidLoopSpec
from tests.waiting import time_factor


def test_a_key_given_twice_is_refused_rather_than_half_read(loop_document: dict[str, Any]) -> None:
    text = yaml.safe_dump(loop_document) + "automation: auto\nautomation: observe\n"
    with pytest.raises(InvalidLoopSpec, match=r"line \d+: the key automation is given twice"):
        parse_loop_spec(text)


@pytest.mark.parametrize("text", ["", "just words", "- a\n- list", "12"])
def test_a_file_that_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(InvalidLoopSpec, match="is not a YAML mapping of keys"):
        parse_loop_spec(text)


@pytest.mark.parametrize("text", ["model: [", "a: b: c", "\x00", "model: !!python/object/apply:os.getcwd []"])
def test_a_file_that_is_no_plain_yaml_is_refused(text: str) -> None:
    with pytest.raises(InvalidLoopSpec, match="is not YAML"):
        parse_loop_spec(text)


def test_the_line_of_a_slip_is_named() -> None:
    with pytest.raises(InvalidLoopSpec, match="at line 3"):
        parse_loop_spec("model: a\ndescription: b\n\tfeatures: c\n")


def test_a_project_is_read_from_its_folder(tmp_path: Path, loop_document: dict[str, Any]) -> None:
    (tmp_path / "loop.yaml").write_text(yaml.safe_dump(loop_document), encoding="utf-8")
    assert read_loop_spec(tmp_path).model == "flights"


def test_a_folder_without_the_file_gets_the_command_that_writes_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidLoopSpec, match="homeostat init") as refusal:
        read_loop_spec(tmp_path / "nowhere")
    assert str(tmp_path / "nowhere" / "loop.yaml") in refusal.value.message


@pytest.mark.parametrize("kind", ["fifo", "link", "folder", "large"])
def test_what_is_no_small_regular_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "project" / "loop.yaml"
    path.parent.mkdir()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        (tmp_path / "secret").write_text("model: secret")
        path.symlink_to(tmp_path / "secret")
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_text("#" * (2 << 20))
    refused: list[str] = []

    def read() -> None:
        with pytest.raises(InvalidLoopSpec) as error:
            read_loop_spec(path.parent)
        refused.append(str(error.value))

    thread = Thread(target=read, daemon=True)
    thread.start()
    thread.join(5 * time_factor())
    assert refused, "it is still read"
    assert "cannot be read" in refused[0]


LAUGHS = "\n".join(
    ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
)


@pytest.mark.parametrize(
    "text", [LAUGHS, "a: &a [*a]", "[" * 5000 + "]" * 5000, "{a: " * 5000 + "1" + "}" * 5000]
)
def test_text_that_stands_for_too_many_values_is_refused_at_once(text: str) -> None:
    begun = time.monotonic()
    with pytest.raises(InvalidLoopSpec, match="too many or too deeply nested"):
        parse_loop_spec(text)
    assert time.monotonic() - begun < 5 * time_factor()


def test_aliases_are_allowed(loop_document: dict[str, Any]) -> None:
    text = yaml.safe_dump(loop_document)
    every = loop_document["drift"]["window"]["every"]
    aliased = text.replace(f"every: {every}", f"every: &every {every}", 1)
    assert aliased != text
    assert parse_loop_spec(aliased) == parse_loop_spec(text)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InvalidLoopSpec, match="cannot be read"):
        read_loop_spec(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said", "hint"),
    [
        (
            {"metric": {"name": "mae"}},
            "metric is not allowed for a prediction of kind embedding",
            "remove metric;",
        ),
        (
            {"metrics": ["auc"], "slices": [{"where": "distance > 0", "name": "high"}]},
            "metrics is not allowed for a prediction of kind embedding",
            "remove metrics, slices;",
        ),
        (
            {"outcome": {"delay": "1d"}, "gate": {"holdout": "1d"}},
            "outcome is not allowed for",
            "remove outcome, gate;",
        ),
        (
            {"retraining": {"command": ["x"], "cooldown": "1d", "triggers": []}},
            "retraining.cooldown is not allowed for",
            "remove retraining.cooldown, retraining.triggers; `homeostat deploy` uses command, environment, time_limit",
        ),
        ({"rollout": {"watch": "1d"}}, "rollout is not allowed for", "remove rollout;"),
        ({"automation": "auto"}, "automation is auto; expected observe", "set automation: observe"),
    ],
)
def test_what_needs_a_loss_is_refused_where_there_is_none(
    loop_document: dict[str, Any], changes: dict[str, Any], said: str, hint: str
) -> None:
    document = {key: loop_document[key] for key in ("model", "features", "drift")}
    document |= {
        "prediction": {"kind": "embedding", "size": 3},
        "retraining": {"command": ["python", "train.py"]},
    }
    assert parse_loop_spec(yaml.safe_dump(document)).automation == "observe"
    with pytest.raises(InvalidLoopSpec, match=f"^loop.yaml: {said}") as refusal:
        parse_loop_spec(yaml.safe_dump(document | changes))
    assert str(refusal.value.hint).startswith(hint)


@pytest.mark.parametrize(
    ("rollout", "said"),
    [
        ({"watch": "30s"}, "rollout.watch: it takes at least 1m; 0 switches it off"),
        ({"watch": 7}, "rollout.watch: expected a duration such as 90m or 7d"),
        ({"watch": False}, "rollout.watch: expected a duration"),
        ({"tolerance": -0.1}, "rollout.tolerance"),
        ({"canary": "1d"}, "rollout.canary"),
        ({"canary": {"share": 0.6, "duration": "1d"}}, "rollout.canary.share"),
        ({"canary": {"share": 0.1, "duration": "30s"}}, "rollout.canary.duration: it takes at least 1m"),
        ({"canary": {"share": 0.1}}, "rollout.canary.duration"),
        ({"shadow": "30s"}, "rollout.shadow: it takes at least 1m"),
    ],
)
def test_a_rollout_that_cannot_be_kept_is_refused(
    loop_document: dict[str, Any], rollout: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidLoopSpec) as refusal:
        parse_loop_spec(yaml.safe_dump(loop_document | {"rollout": rollout}))
    assert said in str(refusal.value)


def test_releases_are_watched_for_a_week_by_default(loop_document: dict[str, Any]) -> None:
    spec = parse_loop_spec(yaml.safe_dump(loop_document))
    assert (spec.rollout.watch, spec.rollout.tolerance) == (timedelta(days=7), 0.0)
    # Manifests from before this key keep their bytes.
    assert "rollout" not in spec.model_dump(mode="json")
    off = parse_loop_spec(yaml.safe_dump(loop_document | {"rollout": {"watch": 0}}))
    assert off.rollout.watch == timedelta(0)
    assert LoopSpec.model_validate(off.model_dump(mode="json")) == off


def test_phases_before_a_promotion_are_off_unless_given(loop_document: dict[str, Any]) -> None:
    off = parse_loop_spec(
        yaml.safe_dump(loop_document | {"rollout": {"shadow": 0, "canary": 0, "watch": "1d"}})
    )
    assert (off.rollout.shadow, off.rollout.canary) == (timedelta(0), None)
    # Manifests from before these keys keep their bytes.
    assert off.model_dump(mode="json")["rollout"] == {"watch": "1d", "tolerance": 0.0}
    given = {"shadow": "6h", "canary": {"share": 0.1, "duration": "3d"}, "watch": "7d"}
    on = parse_loop_spec(yaml.safe_dump(loop_document | {"rollout": given}))
    assert on.model_dump(mode="json")["rollout"] == {**given, "tolerance": 0.0}
    assert LoopSpec.model_validate(on.model_dump(mode="json")) == on
