"""The members of a `torch.export` archive: a zip file in which torch stores every member uncompressed. Pure.

The members are read here and nowhere else, so no other reader can find something else in the same bytes.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO

from shared.errors import UnservableModel

PROGRAM = "models/model.json"
WEIGHTS_CONFIG = "data/weights/model_weights_config.json"
CONSTANTS_CONFIG = "data/constants/model_constants_config.json"
WEIGHTS = "data/weights/"
CONSTANTS = "data/constants/"

# Torch stores a pickle of the example inputs in every archive. Nothing here reads it, nor the identifiers beside it.
_UNREAD = frozenset({"data/sample_inputs/model.pt", ".data/version", ".data/serialization_id"})
_FORMAT = {"archive_format": b"pt2", "archive_version": b"0", "byteorder": b"little"}
_TENSOR = re.compile(r"data/(weights/weight|constants/tensor)_[0-9]{1,6}")
# The name of the file that was saved.
_ROOT = re.compile(r"[^/\\\x00-\x1f]{1,200}")
_MAX_MEMBERS = 100_000
_MAX_JSON_BYTES = 64 << 20

_SAVE = "save it with torch.export.save(program, 'model.pt2') of the installed torch, with nothing else in the archive"
# What a member that is refused would do when it is loaded.
_REFUSED = (
    (
        re.compile(r"data/aotinductor/"),
        "compiled code (AOTInductor)",
        "save the program, not a compiled package",
    ),
    (
        re.compile(r"data/constants/(custom_obj|opaque_obj)_"),
        "a pickled object, which runs code when it is loaded",
        "export a module without objects of classes of its own",
    ),
    (
        re.compile(r"(data/(weights|constants)/.*\.pt|serialized_.*)$"),
        "weights in a pickle, which runs code when it is loaded",
        "save the program again with a newer torch, which stores weights as plain numbers",
    ),
    (re.compile(r"models/"), "a second program", "save one program, under its default name"),
)


@dataclass(frozen=True)
class Members:
    """The JSON documents and the tensors' bytes of an archive, by name without the archive's root folder."""

    documents: Mapping[str, bytes]
    tensors: Mapping[str, bytes] = field(repr=False)


def read_members(archive: bytes) -> Members:
    """Everything that a program is made of. Raises UnservableModel for any member that torch does not need for one.

    1. a zip file of few members, none compressed or encrypted, together not larger than the file
    2. below one root folder, each name once   3. names of the format only   4. the format's version
    """
    try:
        with zipfile.ZipFile(BytesIO(archive)) as reader:
            infos = reader.infolist()
            _check_sizes(infos, len(archive))
            names = _names(infos)
            read = {
                name: reader.read(info)
                for name, info in names.items()
                if name not in _UNREAD  # a pickle stays unread
            }
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        EOFError,
        OSError,
        ValueError,
        NotImplementedError,
    ) as error:
        raise UnservableModel(
            f"model.pt2 is not a complete archive of torch.export: {error}", hint=_SAVE
        ) from error
    for name, wanted in _FORMAT.items():
        if read.pop(name, None) != wanted:
            raise UnservableModel(
                f"model.pt2 has another {name.replace('_', ' ')} than {wanted.decode()!r}", hint=_SAVE
            )
    documents = {name: read.pop(name, b"") for name in (PROGRAM, WEIGHTS_CONFIG, CONSTANTS_CONFIG)}
    for name, document in documents.items():
        if not document:
            raise UnservableModel(f"model.pt2 has no {name}", hint=_SAVE)
    return Members(documents, read)


def _check_sizes(infos: list[zipfile.ZipInfo], limit: int) -> None:
    if len(infos) > _MAX_MEMBERS:
        raise UnservableModel(
            f"model.pt2 has {len(infos)} members; at most {_MAX_MEMBERS} are read", hint=_SAVE
        )
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 0x1:
            raise UnservableModel(
                f"model.pt2 has a compressed or encrypted member {info.filename[:80]!r}, which torch never writes",
                hint=_SAVE,
            )
        if info.filename.endswith(".json") and info.file_size > _MAX_JSON_BYTES:
            raise UnservableModel(
                f"model.pt2: {info.filename[:80]!r} has {info.file_size} bytes; at most {_MAX_JSON_BYTES} are read",
                hint="export a smaller graph",
            )
    if sum(info.file_size for info in infos) > limit:
        raise UnservableModel("model.pt2 has members that overlap", hint=_SAVE)


def _names(infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """The members by name without the root folder."""
    names: dict[str, zipfile.ZipInfo] = {}
    roots = set()
    for info in infos:
        root, _, name = info.filename.partition("/")
        roots.add(root)
        if not _ROOT.fullmatch(root) or root in (".", "..") or len(roots) > 1:
            raise _refused(info.filename)
        if name in names:
            raise UnservableModel(f"model.pt2 has two members named {name[:80]!r}", hint=_SAVE)
        if name not in _UNREAD and name not in _FORMAT and not _is_read(name):
            raise _refused(name)
        names[name] = info
    return names


def _is_read(name: str) -> bool:
    return name in (PROGRAM, WEIGHTS_CONFIG, CONSTANTS_CONFIG) or _TENSOR.fullmatch(name) is not None


def _refused(name: str) -> UnservableModel:
    for pattern, what, hint in _REFUSED:
        if pattern.match(name):
            return UnservableModel(f"model.pt2 holds {what}: {name[:80]!r}", hint=hint)
    return UnservableModel(f"model.pt2 has a member {name[:80]!r} that no program needs", hint=_SAVE)
