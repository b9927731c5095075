"""Segments: the files of a spool folder, named by epoch and number so that name order is write order."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"(\d{10})-(\d{10})\.spool")


@dataclass(frozen=True, order=True)
class SegmentId:
    """The `number`-th segment of an epoch."""

    epoch: int
    number: int

    @property
    def filename(self) -> str:
        """Name of the file inside the writer's folder."""
        return f"{self.epoch:010d}-{self.number:010d}.spool"

    @staticmethod
    def parse(filename: str) -> SegmentId | None:
        """The id in a file name; None for other files."""
        match = _NAME.fullmatch(filename)
        return SegmentId(int(match[1]), int(match[2])) if match else None


def list_segments(folder: Path) -> list[tuple[SegmentId, int]]:
    """All segments of a folder in write order, with their sizes in bytes. Links and what is no file are no segments."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            segment = SegmentId.parse(entry.name)
            if segment is None:
                continue
            try:
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    found.append((segment, status.st_size))
            except FileNotFoundError:
                continue  # shipped and deleted in the meantime
    return sorted(found)
