"""Snapshots of stream detection: detectors, tiles, row numbers, suspicions, and the positions they belong to, in one file.

State and positions change together, so that after a kill the same records are counted once more into the state before them. The
file is replaced atomically. It holds plain arrays and JSON; nothing in it can be executed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import orjson

from services.drift.stream_monitor.generation_stream import Arrays
from services.drift.stream_monitor.row_numbers import Stream
from services.drift.stream_monitor.stream_state import Key
from services.drift.stream_monitor.suspicion import Suspicion, read_suspicions, write_suspicions
from shared.files import read_regular, write_atomic
from shared.messaging.interfaces import TopicIdentity

# A change of what the arrays mean: snapshots of other formats are not read.
FORMAT = 1
MAX_BYTES = 512 << 20
_ABOUT = "about"
_SUSPICIONS = "suspicions"


class UnreadableSnapshot(ValueError):
    """There is no snapshot, or one that this version cannot go on from."""


@dataclass(frozen=True)
class Snapshot:
    """State after all records before `positions` (next offset by partition) of the topic `identity`."""

    identity: TopicIdentity
    positions: Mapping[int, int]
    numbers: Mapping[Stream, int] = field(default_factory=dict)
    suspicions: tuple[Suspicion, ...] = ()
    generations: Mapping[Key, Arrays] = field(default_factory=dict)

    def only(self, wanted: Callable[[str], bool]) -> Snapshot:
        """Of the wanted models alone."""
        return Snapshot(
            self.identity,
            self.positions,
            {stream: number for stream, number in self.numbers.items() if wanted(stream[0])},
            tuple(suspicion for suspicion in self.suspicions if wanted(suspicion.model)),
            {key: arrays for key, arrays in self.generations.items() if wanted(key[0])},
        )

    def to_bytes(self) -> bytes:
        """As an archive of arrays (numpy's npz, without objects)."""
        keys = sorted(self.generations)
        about = {
            "format": FORMAT,
            "cluster_id": self.identity.cluster_id,
            "topic_id": self.identity.topic_id,
            "positions": sorted(self.positions.items()),
            "numbers": [[*stream, number] for stream, number in self.numbers.items()],
            "generations": keys,
        }
        arrays: dict[str, npt.NDArray[Any]] = {
            _ABOUT: np.frombuffer(orjson.dumps(about), np.uint8),
            _SUSPICIONS: np.frombuffer(write_suspicions(self.suspicions), np.uint8),
        }
        for place, key in enumerate(keys):
            arrays |= {f"{place}/{name}": array for name, array in self.generations[key].items()}
        file = BytesIO()
        np.savez(file, allow_pickle=False, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Snapshot:
        """Raises UnreadableSnapshot."""
        try:
            with np.load(BytesIO(content), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            about = orjson.loads(arrays[_ABOUT].tobytes())
            if about["format"] != FORMAT:
                raise UnreadableSnapshot(f"it has format {about['format']!r}, expected {FORMAT}")
            generations: dict[Key, dict[str, npt.NDArray[Any]]] = {
                (str(model), int(number)): {} for model, number in about["generations"]
            }
            keys = list(generations)
            for name, array in arrays.items():
                place, separator, inside = name.partition("/")
                if separator:
                    generations[keys[int(place)]][inside] = array
            return cls(
                TopicIdentity(about["cluster_id"], about["topic_id"]),
                {int(number): int(offset) for number, offset in about["positions"]},
                {(str(m), str(w), int(e)): int(number) for m, w, e, number in about["numbers"]},
                read_suspicions(arrays[_SUSPICIONS].tobytes()),
                generations,
            )
        except UnreadableSnapshot:
            raise
        except (KeyError, IndexError, TypeError, ValueError, OSError, EOFError, BadZipFile) as error:
            raise UnreadableSnapshot(f"it cannot be read: {error!r}") from error


def save(path: Path, snapshot: Snapshot) -> None:
    """Replace the file. Raises OSError and leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, snapshot.to_bytes(), durable=True)


def load(path: Path) -> Snapshot | None:
    """The snapshot in the file; None without a file. Raises UnreadableSnapshot."""
    try:
        return Snapshot.from_bytes(read_regular(path, maximum_bytes=MAX_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableSnapshot(f"it cannot be read: {error}") from error
