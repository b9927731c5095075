"""A test whose worker died with it has failed: the rest of its file runs, and the test itself does not run again.

xdist gives the file of such a test to the next worker as it was, so a test that hangs in C code would end one worker after the
other, until no more are started.
"""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController


class FilesWithoutCrashedTests(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Distributes files; a test that ended its worker is over."""

    def remove_node(self, node: WorkerController) -> str | None:
        """Take a worker off; returns the test that ran when it died."""
        files = self.assigned_work[node]
        crashed = next((name for tests in files.values() for name, over in tests.items() if not over), None)
        if crashed is not None:
            for tests in files.values():
                if crashed in tests:
                    tests[crashed] = True
        # A file without tests to run would keep a worker waiting.
        for file in [file for file, tests in files.items() if all(tests.values())]:
            del files[file]
        super().remove_node(node)
        return crashed


# Before xdist's own.
@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """The scheduler of `--dist loadfile`."""
    return FilesWithoutCrashedTests(config, log) if config.getvalue("dist") == "loadfile" else None
