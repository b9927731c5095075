from __future__ import annotations

from pathlib import Path

import pytest

from shared.models.isolation.available_memory import available_bytes


def write(folder: Path, limit: str, used: int, files: int) -> Path:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {files}\n")
    return folder


@pytest.mark.parametrize(("used", "expected"), [(60 << 20, 48 << 20), (200 << 20, 0)])
def test_control_group_limits_what_is_available(tmp_path: Path, used: int, expected: int) -> None:
    group = write(tmp_path, str(100 << 20), used, 8 << 20)
    assert available_bytes(group) == expected


def test_machine_counts_without_limit(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    unlimited = write(tmp_path, "max", 60, 8)
    assert available_bytes(unlimited) > 100 << 20
    assert available_bytes(nothing) > 100 << 20
