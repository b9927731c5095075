"""Folders whose training command may be run."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from services.retraining.launchers import project_folder
from services.retraining.launchers.project_folder import check_project_folder
from shared.errors import ProjectError

OTHER = 12345
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "projects" / "toy"
    folder.mkdir(parents=True)
    (folder / "loop.yaml").write_text("model: toy")
    (folder / "train.py").write_text("")
    return folder


def refusal(folder: Path, *roots: Path) -> str:
    with pytest.raises(ProjectError) as refused:
        check_project_folder(folder, roots)
    return str(refused.value)


def test_own_folder_is_allowed(project: Path) -> None:
    check_project_folder(project, ())


@pytest.mark.parametrize("place", [".", "train.py", "..", "sub/deep.py"])
def test_what_everybody_can_write_is_refused(project: Path, place: str) -> None:
    (project / "sub").mkdir()
    (project / "sub" / "deep.py").write_text("")
    path = (project / place).resolve()
    path.chmod(path.stat().st_mode | 0o002)
    message = refusal(project)
    assert f"{path} can be written by every user" in message
    assert f"chmod go-w {path}" in message
    path.chmod(path.stat().st_mode & ~0o002)
    check_project_folder(project, ())


@needs_root
@pytest.mark.parametrize("place", [".", "train.py", ".."])
def test_what_another_user_owns_is_refused(project: Path, place: str) -> None:
    path = (project / place).resolve()
    os.chown(path, OTHER, -1)
    assert f"{path} belongs to another user" in refusal(project)


def test_group_of_others_may_not_write(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "train.py").chmod(0o664)
    monkeypatch.setattr(project_folder, "_only_ours", lambda group: False)
    assert "members of its group" in refusal(project)
    monkeypatch.setattr(project_folder, "_only_ours", lambda group: True)
    check_project_folder(project, ())


def test_sticky_folder_above_is_allowed(project: Path) -> None:
    project.parent.chmod(0o1777)
    check_project_folder(project, ())
    project.parent.chmod(0o755)
    project.chmod(0o1777)  # everybody can add a module
    assert "every user" in refusal(project)


def test_the_folder_without_links_is_returned(project: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(project)
    assert check_project_folder(tmp_path / "link", ()) == project.resolve()


def test_folder_and_every_link_behind_a_link_is_checked(project: Path, tmp_path: Path) -> None:
    library, hop = tmp_path / "library", tmp_path / "hops" / "hop"
    library.mkdir()
    (library / "helper.py").write_text("")
    hop.parent.mkdir()
    hop.symlink_to(library)
    (project / "library").symlink_to(hop)
    check_project_folder(project, ())
    (library / "helper.py").chmod(0o666)
    assert "helper.py" in refusal(project)
    (library / "helper.py").chmod(0o644)
    hop.parent.chmod(0o777)
    assert f"{hop.parent} can be written by every user" in refusal(project)


def test_access_control_list_is_refused(project: Path) -> None:
    entries = [(1, 6, 2**32 - 1), (2, 6, 12345), (4, 4, 2**32 - 1), (16, 6, 2**32 - 1), (32, 4, 2**32 - 1)]
    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(project / "train.py", "system.posix_acl_access", value)
    except OSError as error:
        pytest.skip(f"this file system has no access control lists: {error.strerror}")
    assert "access control list" in refusal(project)


def test_configured_root_is_trusted(project: Path) -> None:
    (project / "train.py").chmod(0o666)
    check_project_folder(project, (project.parent,))
    check_project_folder(project, (project.parents[3], project))
    assert "every user" in refusal(project, project / "sub")
    assert "every user" in refusal(project.parent / "toy", Path(f"{project}-other"))


def test_link_is_followed_before_it_is_checked(project: Path, tmp_path: Path) -> None:
    """A link below a trusted root that leads out of it is no way around."""
    root, elsewhere = tmp_path / "trusted", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    (root / "toy").symlink_to(elsewhere)
    assert "every user" in refusal(root / "toy", root)


def test_target_of_a_link_is_checked(project: Path, tmp_path: Path) -> None:
    outside = tmp_path / "shared.py"
    outside.write_text("")
    (project / "train.py").unlink()
    (project / "train.py").symlink_to(outside)
    check_project_folder(project, ())
    outside.chmod(0o666)
    assert f"{outside} can be written by every user" in refusal(project)
    outside.unlink()
    check_project_folder(project, ())


def test_missing_folder_is_named(tmp_path: Path) -> None:
    assert "nowhere" in refusal(tmp_path / "nowhere")


def test_number_of_files_is_bounded(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project_folder, "MAXIMUM_FILES", 1)
    assert "more than 1 files" in refusal(project)
