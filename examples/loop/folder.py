"""The data root of an example: emptied at each start, unless it holds other data."""

from __future__ import annotations

import shutil
from pathlib import Path

from local_stack.state import run_folder
from local_stack.supervisor.lock import is_supervised
from shared.contracts.stack_state import STATE_FILE

MARK = Path("demo") / "made-by-the-demo"


def clear(home: Path) -> None:
    """Make `home` an empty data folder for an example. Raises RuntimeError, before any change, if that is not allowed.

    1. Refuse a folder without the demo's marker file.   2. Refuse if a stack may still run.   3. Clear it and write the marker.
    """
    if home.exists() and any(home.iterdir()):
        if not (home / MARK).is_file():
            raise RuntimeError(
                f"{home} holds data that the demo did not write; give an empty folder with --home"
            )
        if is_supervised(home) or (run_folder(home) / STATE_FILE).exists():
            raise RuntimeError(f"a stack still runs on {home}; stop it with `homeostat down --home {home}`")
        shutil.rmtree(home)
    (home / MARK).parent.mkdir(parents=True, exist_ok=True)
    (home / MARK).write_text("The next demo on this folder clears it.\n", encoding="utf-8")
