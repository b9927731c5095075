from __future__ import annotations

import zipfile
from copy import copy
from io import BytesIO

import pytest

from shared.errors import UnservableModel
from shared.models.torch_archive.members import read_members
from tests.fakes.torch_archive import PROGRAM, SAMPLE_INPUTS, WEIGHTS_CONFIG, members, zipped


def refused(content: bytes, message: str) -> None:
    with pytest.raises(UnservableModel, match=message):
        read_members(content)


def test_good_archive_is_read_without_its_pickle() -> None:
    found = read_members(zipped(members()))
    assert set(found.tensors) == {"data/weights/weight_0"}
    assert SAMPLE_INPUTS not in {*found.documents, *found.tensors}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("data/aotinductor/model/kernel.so", "compiled code"),
        ("data/constants/custom_obj_0", "pickled object"),
        ("data/constants/opaque_obj_0", "pickled object"),
        ("data/weights/model.pt", "weights in a pickle"),
        ("data/constants/model.pt", "weights in a pickle"),
        ("serialized_state_dict.pt", "weights in a pickle"),
        ("models/other.json", "a second program"),
        ("../../etc/cron.d/job", "no program needs"),
        ("data/weights/../../weight_1", "no program needs"),
        ("/etc/passwd", "no program needs"),
        ("extra/notes.txt", "no program needs"),
    ],
)
def test_member_that_no_program_needs_is_refused(name: str, message: str) -> None:
    refused(zipped(members() | {name: b"x"}), message)


@pytest.mark.parametrize("root", ["..", ".", "a\\b", "a\nb"])
def test_root_that_is_no_folder_name_is_refused(root: str) -> None:
    refused(zipped(members(), root=root), "no program needs")


def test_second_root_is_refused() -> None:
    file = BytesIO(zipped(members()))
    with zipfile.ZipFile(file, "a") as writer:
        writer.writestr("elsewhere/data/weights/weight_1", b"1234")
    refused(file.getvalue(), "no program needs")


def test_name_that_is_there_twice_is_refused() -> None:
    """Two readers may choose different ones."""
    file = BytesIO(zipped(members()))
    with zipfile.ZipFile(file, "a") as writer, pytest.warns(UserWarning, match="Duplicate"):
        writer.writestr(f"model/{PROGRAM}", b"{}")
    refused(file.getvalue(), "two members")


def test_compressed_bomb_is_refused_unread() -> None:
    bomb = zipped(members() | {"data/weights/weight_1": bytes(1 << 24)}, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1 << 17
    refused(bomb, "compressed")


def test_overlapping_members_are_refused() -> None:
    """Many names may point at the same bytes: a small file would fill the memory."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as writer:
        for name, raw in members().items():
            writer.writestr(f"model/{name}", raw)
        big = writer.getinfo(f"model/{PROGRAM}")
        for place in range(1, 9):
            again = copy(big)
            again.filename = f"model/data/weights/weight_{place}"
            writer.filelist.append(again)
    refused(file.getvalue(), "overlap")


@pytest.mark.parametrize("kept", [0, 10, 500, 2500])
def test_truncated_archive_is_refused(kept: int) -> None:
    whole = zipped(members())
    refused(whole[:kept], "not a complete archive")


def test_flipped_bit_of_a_member_is_refused() -> None:
    whole = zipped(members())
    refused(whole.replace(b'"as_tensor"', b'"as_tensoR"', 1), "Bad CRC-32")


@pytest.mark.parametrize("name", ["archive_format", "archive_version", "byteorder"])
def test_other_format_is_refused(name: str) -> None:
    refused(zipped(members() | {name: b"other"}), f"another {name.replace('_', ' ')}")
    refused(zipped({key: raw for key, raw in members().items() if key != name}), "another")


@pytest.mark.parametrize("name", [PROGRAM, WEIGHTS_CONFIG])
def test_missing_document_is_refused(name: str) -> None:
    refused(zipped({key: raw for key, raw in members().items() if key != name}), f"has no {name}")


def test_huge_document_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.models.torch_archive.members._MAX_JSON_BYTES", 100)
    refused(zipped(members()), "at most 100")


def test_very_many_members_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.models.torch_archive.members._MAX_MEMBERS", 9)
    refused(zipped(members()), "10 members")
