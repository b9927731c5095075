"""`make audit`: locks, vulnerabilities, bills of materials, secrets and the Dockerfile, in one line.

Exit status 0: everything was checked and nothing found. 1: something was found, or a check does not work. 3: everything else was
checked, but no source of advisories can be reached, or its copy is older than 30 days; with `--offline` that is accepted.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.audit.advisory_server import serving
from tests.audit.bills import FOLDER, IMAGES, LOCKS, ROOT, write_bill
from tests.audit.dockerfile_lint import problems_of
from tests.audit.vulnerabilities import SOURCES, Verdict, audit_locks

FOUND, NOT_CHECKED = 1, 3
REMEDY = (
    "hint: run it where the public package index or OSV can be reached, or name a fresh copy of "
    "https://github.com/pypa/advisory-database in AUDIT_ADVISORIES; AUDIT_OFFLINE=1 accepts that vulnerabilities are not checked"
)
_TESTS = (
    "tests/repo/test_locks.py",
    "tests/repo/test_tracked_files.py",
    "tests/repo/test_layout.py::test_nothing_that_runs_code_when_it_is_read_is_ever_loaded",
)


def repository_tests() -> tuple[bool, str]:
    """Hashes and hosts of the locks, secrets, and nothing executable that is loaded: whether they pass, and how many."""
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--durations=0", *_TESTS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    if done.returncode:
        print(done.stdout)
    counted = re.findall(r"\d+ (?:passed|failed|errors?)", done.stdout)
    return done.returncode == 0, ", ".join(counted) or "none ran"


def vulnerabilities_text(verdict: Verdict) -> str:
    """The result of the audit, as part of the line."""
    if not verdict.source:
        reached = (
            "a source of advisories does not work" if verdict.is_silent else "no advisory source reachable"
        )
        return f"vulnerabilities: not checked, {reached} ({verdict.problem})"
    text = f"{len(verdict.vulnerable)} vulnerabilities in {verdict.packages} locked packages, by {verdict.source}"
    return f"{text}; not audited: {verdict.problem}" if verdict.problem else text


def status_of(verdict: Verdict, *, others_passed: bool, offline: bool) -> int:
    """The exit status."""
    if not others_passed or verdict.vulnerable or verdict.is_silent or (verdict.source and verdict.problem):
        return FOUND
    return 0 if (verdict.source and not verdict.is_old) or offline else NOT_CHECKED


def hint_of(status: int) -> str:
    """What to do about an exit status; empty where there is nothing to do, or the findings say it."""
    return REMEDY if status == NOT_CHECKED else ""


def main(arguments: Sequence[str]) -> int:
    """Run the audit of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.audit", description=__doc__)
    parser.add_argument(
        "--offline", action="store_true", help="accept that vulnerabilities cannot be checked"
    )
    parser.add_argument(
        "--advisories", type=Path, help="folder with a copy of the Python Packaging Advisory Database"
    )
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    locks = sorted(path for path in LOCKS.glob("*.txt") if path.name != "kafka-jars.txt")
    with ExitStack() as ending:
        sources = (
            SOURCES if options.advisories is None else (ending.enter_context(serving(options.advisories)),)
        )
        verdict = audit_locks(locks, sources)
    packages = sum(write_bill(image) for image in IMAGES)
    problems = problems_of(ROOT / "Dockerfile")
    print(*verdict.vulnerable, *problems, sep="\n", end="\n" if verdict.vulnerable or problems else "")
    tests_passed, counted = repository_tests()
    status = status_of(verdict, others_passed=tests_passed and not problems, offline=options.offline)
    result = {0: "passed", FOUND: "failed", NOT_CHECKED: "not complete"}[status]
    print(
        f"make audit: {result} in {time.monotonic() - begun:.0f} s: {len(locks)} locks; {vulnerabilities_text(verdict)}; "
        f"{len(IMAGES)} bills of materials with {packages} packages in {FOLDER.relative_to(ROOT)}; "
        f"{len(problems)} problems in the Dockerfile; repository tests (hashes, secrets, pickle): {counted}",
        flush=True,
    )
    if hint := hint_of(status):
        print(hint, flush=True)
    return status


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
