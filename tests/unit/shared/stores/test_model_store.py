"""Opening a model store by URL, and answers to a store that is damaged. The contract itself: tests/conformance."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import ObjectStore, S3Store

from shared.contracts.manifest import MANIFEST, MODEL, REFERENCE, SIGNATURE
from shared.errors import DependencyUnavailable, IntegrityError, NotFound
from shared.stores.model_store import ModelStore, open_model_store


def test_file_url_creates_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "with space and ü" / "models"
    store = open_model_store(folder.as_uri())
    assert folder.is_dir()
    assert store.models() == []
    assert [path.name for path in tmp_path.iterdir()] == ["with space and ü"]


def test_a_store_in_memory_is_opened_by_url() -> None:
    assert open_model_store("memory:///").models() == []


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return open_model_store(tmp_path.as_uri())


@pytest.mark.parametrize("model", ["", "..", "\x1e\U0004e38e", "a" * 300, "\x00", "a\n", "-a"])
def test_invalid_model_name_has_no_files(store: ModelStore, model: str) -> None:
    assert store.releases(model) == []
    assert store.latest_generation(model) == 0
    with pytest.raises(NotFound):
        store.manifest(model, "0" * 64)


def entry(model: str, generation: int) -> str:
    release = {
        "model": model,
        "generation": generation,
        "version": "0" * 64,
        "reason": "deployment",
        "actor": "loop",
        "released_at": "2013-01-15T00:00:00Z",
    }
    return json.dumps(release)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "{}",
        entry("flights", 2),
        entry("trains", 1),
    ],
)
def test_mismatched_release_raises_integrity_error(store: ModelStore, tmp_path: Path, content: str) -> None:
    (tmp_path / "flights" / "releases").mkdir(parents=True)
    (tmp_path / "flights" / "releases" / "000001.json").write_text(content)
    with pytest.raises(IntegrityError, match="release 1 of flights") as refusal:
        store.latest_release("flights")
    assert refusal.value.hint


def test_other_files_are_not_counted_as_releases(store: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "flights" / "releases").mkdir(parents=True)
    for name in ("notes.json", "000001.json.bak", "000002.txt"):
        (tmp_path / "flights" / "releases" / name).write_text("{}")
    assert store.latest_generation("flights") == 0
    assert store.models() == []


@pytest.mark.parametrize("version", ["../../keys", "f" * 64, ""])
def test_path_traversal_in_a_name_is_not_found(store: ModelStore, version: str) -> None:
    with pytest.raises(NotFound, match="model flights has no version"):
        store.manifest("flights", version)


def test_the_manifest_is_written_last(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers take a manifest as the sign that a version is whole."""
    folder = tmp_path / "version"
    folder.mkdir()
    for name in (MANIFEST, MODEL, REFERENCE, SIGNATURE):
        (folder / name).write_bytes(b"x")
    written: list[str] = []
    put = obstore.put

    def recording_put(backend: ObjectStore, path: str, *arguments: Any, **options: Any) -> Any:
        written.append(path.rsplit("/", 1)[-1])
        return put(backend, path, *arguments, **options)

    monkeypatch.setattr(obstore, "put", recording_put)
    store.put_version("flights", "f" * 64, folder)
    assert len(written) == 4
    assert written[-1] == MANIFEST


def test_unreachable_store_raises_dependency_unavailable() -> None:
    """An address nobody listens on; the client gives up after its own short limit."""
    away = open_model_store_away()
    for ask in (away.models, lambda: away.versions("flights"), lambda: away.latest_generation("flights")):
        with pytest.raises(DependencyUnavailable, match="does not respond"):
            ask()


def open_model_store_away() -> ModelStore:
    return ModelStore(
        S3Store(
            "bucket",
            endpoint="http://127.0.0.1:9",
            region="none",
            access_key_id="none",
            secret_access_key="none",
            client_options={"allow_http": True, "timeout": timedelta(seconds=1)},
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
        )
    )
