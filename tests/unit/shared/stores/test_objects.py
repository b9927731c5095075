"""Both kinds of objects keep the same rules; what a folder may hold besides is tested in test_model_store.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from obstore.store import LocalStore, MemoryStore

from shared.errors import DependencyUnavailable, IntegrityError
from shared.stores.objects import FolderObjects, Objects, StoredObjects, objects_of


@pytest.fixture(params=["folder", "memory"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    return objects_of(LocalStore(tmp_path) if request.param == "folder" else MemoryStore())


def test_a_folder_is_read_without_obstore(tmp_path: Path) -> None:
    assert isinstance(objects_of(LocalStore(tmp_path)), FolderObjects)
    assert isinstance(objects_of(MemoryStore()), StoredObjects)


def test_created_objects_are_listed_and_read(objects: Objects) -> None:
    assert objects.create("a/b/one", b"1")
    assert objects.create("a/b/two", b"2")
    assert not objects.create("a/b/two", b"3")
    assert (objects.folders(""), objects.folders("a"), objects.files("a/b")) == (["a"], ["b"], ["one", "two"])
    assert (objects.folders("a/b"), objects.files("a"), objects.files("none")) == ([], [], [])
    assert objects.read("a/b/two", 1) == b"2"


@pytest.mark.parametrize("name", ["a/none", "none", "a/b/one/below", "../a", "a//b", "a/./b", "", "a/\0"])
def test_missing_object_is_not_found(objects: Objects, name: str) -> None:
    objects.create("a/b/one", b"1")
    with pytest.raises(FileNotFoundError):
        objects.read(name, 10)


def test_large_object_is_refused(objects: Objects) -> None:
    objects.create("a/one", b"123")
    with pytest.raises(IntegrityError, match="larger than 2 bytes"):
        objects.read("a/one", 2)


def test_folder_that_is_no_folder_is_unavailable(tmp_path: Path) -> None:
    objects = objects_of(LocalStore(tmp_path))
    (tmp_path / "a").write_text("")
    with pytest.raises(DependencyUnavailable, match="a: Not a directory"):
        objects.files("a")
