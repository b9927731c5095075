"""The demo's data root: emptied at each start, unless it holds other data."""

from __future__ import annotations

import shutil
from pathlib import Path

from local_stack.state import run_folder
from local_stack.supervisor.lock import is_supervised
from shared.contracts.stack_state import STATE_FILE

MARK = Path("demo") / "made-by-the-demo"


def clear(home: Path) -> None:
    """Make `home` an empty data root of the demo's. Raises RuntimeError, having touched nothing, where it may not.

    1. what has no mark of ours is somebody's   2. a stack that may still run must be ended first   3. only then clear, and mark
    """
    if home.exists() and any(home.iterdir()):
        if not (home / MARK).is_file():
            raise RuntimeError(f"{home} holds data the demo did not make; name an empty folder with --home")
        if is_supervised(home) or (run_folder(home) / STATE_FILE).exists():
            raise RuntimeError(
                f"a stack was left running on {home}; end it with `homeostat down --home {home}`"
            )
        shutil.rmtree(home)
    (home / MARK).parent.mkdir(parents=True, exist_ok=True)
    (home / MARK).write_text("The next demo on this folder clears it.\n", encoding="utf-8")
