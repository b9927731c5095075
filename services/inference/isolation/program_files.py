"""Whether the program files have changed since this server was started, as an update of the package changes them."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]
_PACKAGES = ("services/inference", "shared")

State = dict[str, tuple[int, int]]


class ProgramFiles:
    """The server's own modules as they were when this was made: a process that is started later runs the files of its time."""

    def __init__(self, root: Path = _ROOT) -> None:
        self._root = root
        self._at_start = self._read()

    def replaced(self) -> bool:
        """Whether a file differs, is gone or is new."""
        return self._read() != self._at_start

    def _read(self) -> State:
        found: State = {}
        for package in _PACKAGES:
            for path in (self._root / package).rglob("*.py"):
                try:
                    state = path.stat()
                except FileNotFoundError:  # it is being replaced
                    continue
                found[str(path)] = (state.st_mtime_ns, state.st_size)
        return found
