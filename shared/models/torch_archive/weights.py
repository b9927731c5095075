"""The weights of an archive: raw bytes, with type and layout in a document beside them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import UnservableModel
from shared.models.torch_archive.document import MALFORMED, parse, take
from shared.models.torch_archive.members import CONSTANTS, CONSTANTS_CONFIG, WEIGHTS, WEIGHTS_CONFIG, Members
from shared.models.torch_archive.tensor_meta import DTYPES, Layout, read_dtype, read_layout

_FILE = re.compile(r"(weight|tensor)_[0-9]{1,6}")
_SIZES = dict(DTYPES.values())


@dataclass(frozen=True)
class Weight:
    """One tensor: its dtype's name, where its numbers lie in `content`, and the member of these bytes, which others may share."""

    dtype: str
    layout: Layout
    member: str
    content: bytes = field(repr=False)


def read_weights(members: Members) -> tuple[Mapping[str, Weight], Mapping[str, Weight]]:
    """Parameters and buffers by name, and constants by name. Raises UnservableModel."""
    return (
        _read(members, WEIGHTS_CONFIG, WEIGHTS),
        _read(members, CONSTANTS_CONFIG, CONSTANTS),
    )


def _read(members: Members, document: str, folder: str) -> dict[str, Weight]:
    config = take(parse(document, members.documents[document]), "config", dict, document)
    return {name: _weight(name, entry, folder, members) for name, entry in config.items()}


def _weight(name: str, entry: Any, folder: str, members: Members) -> Weight:
    place = f"the weight {name[:80]!r}"
    if take(entry, "use_pickle", bool, place):
        raise UnservableModel(
            f"model.pt2 keeps {place} in a pickle, which runs code when it is loaded",
            hint="replace tensors of custom classes by plain tensors before the export",
        )
    file = take(entry, "path_name", str, place)
    content = members.tensors.get(folder + file) if _FILE.fullmatch(file) else None
    if content is None:
        raise UnservableModel(f"model.pt2 has no member {file[:80]!r} for {place}", hint=MALFORMED)
    meta = take(entry, "tensor_meta", dict, place)
    dtype, layout = read_dtype(take(meta, "dtype", int, place), place), read_layout(meta, place)
    if layout.elements() * _SIZES[dtype] > len(content) or len(content) % _SIZES[dtype]:
        raise UnservableModel(
            f"model.pt2: {place} needs {layout.elements()} elements of {dtype}, and its member has {len(content)} bytes",
            hint=MALFORMED,
        )
    return Weight(dtype, layout, folder + file, content)
