from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.errors import UnservableModel
from shared.models.model_bytes import read_model


def test_model_is_read_from_a_regular_file_only(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"model")
    assert read_model(model) == b"model"
    (tmp_path / "link.onnx").symlink_to(model)
    os.mkfifo(tmp_path / "fifo.onnx")
    for name, problem in (("link", "symbolic link"), ("fifo", "not a regular file")):
        with pytest.raises(UnservableModel, match=problem):
            read_model(tmp_path / f"{name}.onnx")
    with pytest.raises(FileNotFoundError):
        read_model(tmp_path / "none.onnx")
