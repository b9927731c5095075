"""Run pytest; the few tests that failed beside others run once more alone, and are named.

`python -m tests.flaky FILES ARGUMENTS...` passes the arguments on to pytest. If tests of at most FILES files failed, they run
again in one process. What then passes is flaky: it depends on what runs beside it. Flaky tests are listed at the end, in each run
until they are repaired; they do not fail it. With 0 files, every failure counts at once. See docs/adr/0046.
Pass neither `-x` nor `--maxfail`: tests that the first run leaves out do not run in the second.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_TESTS_FAILED = 1


def failed_tests(cache: Path) -> list[str]:
    """What pytest remembers as failed; a test whose fixtures failed counts."""
    found = cache / "v" / "cache" / "lastfailed"
    return sorted(json.loads(found.read_text(encoding="utf-8"))) if found.is_file() else []


def run_pytest(cache: Path, arguments: Sequence[str]) -> int:
    """Returns pytest's exit status."""
    return subprocess.run([sys.executable, "-m", "pytest", "-o", f"cache_dir={cache}", *arguments]).returncode


def main(arguments: Sequence[str]) -> int:
    """pytest's exit status, of the second run if there is one."""
    most_files, arguments = int(arguments[0]), arguments[1:]
    # An empty cache, so that no failure of an earlier run counts.
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        code = run_pytest(cache, arguments)
        failed = failed_tests(cache)
        files = {test.partition("::")[0] for test in failed}
        if code != _TESTS_FAILED or not 0 < len(files) <= most_files:
            return code
        print(f"{len(failed)} tests failed beside others; they run once more, alone", flush=True)
        code = run_pytest(cache, [*arguments, "--last-failed", "--numprocesses", "0", "--dist", "no"])
        still = set(failed_tests(cache))
    flaky = [test for test in failed if test not in still]
    if flaky:
        print("flaky (failed beside other tests, passed alone; repair them):", *flaky, sep="\n  ", flush=True)
    return code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
