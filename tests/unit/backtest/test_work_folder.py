"""The folder of a back-test: what a killed one leaves is removed, and what a running one uses is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from backtest.work_folder import work_folder


def test_it_is_removed_at_the_end(tmp_path: Path) -> None:
    with work_folder(tmp_path) as folder:
        (folder / "rows").write_text("many")
        with work_folder(tmp_path) as other:
            assert (folder / "rows").read_text() == "many"
            assert other != folder
    assert list(tmp_path.glob("replay-*")) == []


def test_what_a_killed_back_test_leaves_is_removed_by_the_next(tmp_path: Path) -> None:
    killed = (
        "import os, sys; from pathlib import Path; from backtest.work_folder import work_folder\n"
        "with work_folder(Path(sys.argv[1])) as folder: (folder / 'rows').write_text('many'); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", killed, str(tmp_path)], timeout=60, check=False)
    assert done.returncode == 9
    (left,) = tmp_path.glob("replay-*")
    with work_folder(tmp_path):
        assert not left.exists()


def test_a_folder_of_another_process_that_runs_is_kept(tmp_path: Path) -> None:
    runs = (
        "import sys; from pathlib import Path; from backtest.work_folder import work_folder\n"
        "with work_folder(Path(sys.argv[1])) as folder: print(folder, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", runs, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as other:
        assert other.stdout is not None
        folder = Path(other.stdout.readline().strip())
        with work_folder(tmp_path):
            assert folder.is_dir()
        other.communicate("", timeout=60)
    assert not folder.exists()
