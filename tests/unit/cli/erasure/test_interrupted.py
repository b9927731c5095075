"""Which versions an erasure takes over from interrupted ones: those of its own subject, in its own models."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cli.erasure.interrupted import NAME, InterruptedErasures
from shared.errors import OperatorError

MODELS = ["loans", "trains"]


def versions(home: Path, subject: str, models: list[str]) -> tuple[set[str], set[str]]:
    found = InterruptedErasures(home, subject)
    return found.references(models), found.trained(models)


def test_versions_belong_to_the_subject_that_was_interrupted(tmp_path: Path) -> None:
    InterruptedErasures(tmp_path, "ada").begin(MODELS, ["loans b"], ["loans a"])
    InterruptedErasures(tmp_path, "bob").begin(MODELS, [], ["trains c"])
    assert versions(tmp_path, "ada", MODELS) == ({"loans b"}, {"loans a"})
    assert versions(tmp_path, "bob", MODELS) == (set(), {"trains c"})
    assert versions(tmp_path, "eve", MODELS) == (set(), set())
    written = (tmp_path / NAME).read_text()
    assert "ada" not in written
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


def test_versions_stay_until_an_erasure_of_the_subject_has_finished_their_model(tmp_path: Path) -> None:
    InterruptedErasures(tmp_path, "ada").begin(MODELS, ["loans b"], ["trains a"])
    InterruptedErasures(tmp_path, "bob").finish(MODELS)
    InterruptedErasures(tmp_path, "ada").finish(["loans"])
    assert versions(tmp_path, "ada", MODELS) == (set(), {"trains a"})
    InterruptedErasures(tmp_path, "ada").finish(["trains"])
    assert not (tmp_path / NAME).exists(), "no digest of a subject outlives its erasure"


def test_versions_of_models_that_are_not_erased_are_not_listed(tmp_path: Path) -> None:
    InterruptedErasures(tmp_path, "ada").begin(MODELS, ["loans b", "trains b"], ["trains a"])
    assert versions(tmp_path, "ada", ["loans"]) == ({"loans b"}, set())


@pytest.mark.parametrize("content", ["{", "[1]", '[{"salt": "x", "digest": ""}]'])
def test_broken_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / NAME).write_text(content)
    with pytest.raises(OperatorError, match=NAME):
        InterruptedErasures(tmp_path, "ada")
