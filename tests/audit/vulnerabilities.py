"""Known vulnerabilities of the locked packages, by pip-audit.

pip-audit passes when its source of advisories knows nothing, or skips every package. So a lock with a package whose vulnerability
is known, the canary, is audited first: a source that does not report it is not used.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

CANARY_PACKAGE = "jinja2"
# PYSEC-2021-66 (CVE-2020-28493). The hash is not compared: nothing is downloaded.
CANARY = f"{CANARY_PACKAGE}==2.11.2 \\\n    --hash=sha256:{'0' * 64}\n"
TIMEOUT_S = 15
# Runs pip-audit with arguments; returns its output and its error output.
Run = Callable[[Sequence[str]], tuple[str, str]]


@dataclass(frozen=True)
class Source:
    """A source of advisories, as pip-audit is told to use it. `is_old`: a copy that misses the advisories of the last weeks."""

    name: str
    options: tuple[str, ...]
    is_old: bool = False


SOURCES = (
    Source("the package index", ("--vulnerability-service", "pypi")),
    Source("OSV", ("--vulnerability-service", "osv")),
)


@dataclass(frozen=True)
class Findings:
    """What pip-audit says about a lock: the vulnerable packages, or why it could not tell (`problem`)."""

    packages: int = 0
    vulnerable: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Verdict:
    """The result over all locks. `source` is empty if none could be used; then `problem` says why.

    `is_silent`: a source answered, and knew nothing of the canary. That is worse than one that cannot be reached.
    `is_old`: nothing found in an old copy does not mean that nothing is known.
    """

    source: str = ""
    packages: int = 0
    vulnerable: tuple[str, ...] = ()
    problem: str = ""
    is_silent: bool = False
    is_old: bool = False


def pip_audit(arguments: Sequence[str]) -> tuple[str, str]:
    """Run pip-audit; returns its output and its error output."""
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", *arguments], capture_output=True, text=True, timeout=600
    )
    return done.stdout, done.stderr


def audit_lock(lock: Path, source: Source, run: Run = pip_audit) -> Findings:
    """Audit one lock. Strict: a package that cannot be audited is a problem."""
    arguments = ["--requirement", str(lock), "--disable-pip", "--require-hashes"]
    arguments += ["--strict", "--progress-spinner", "off", "--format", "json", "--timeout", str(TIMEOUT_S)]
    output, errors = run([*arguments, *source.options])
    try:
        found = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (errors.strip().splitlines() or ["no output"])[-1]
        return Findings(problem=last.rpartition("ERROR:")[2].partition(":")[2].strip()[:100] or last[:100])
    vulnerable = [
        f"{one['name']} {one['version']}: {flaw['id']} (fixed in {', '.join(flaw['fix_versions']) or 'no version'})"
        for one in found
        for flaw in one.get("vulns", ())
    ]
    return Findings(len(found), tuple(vulnerable))


def working_source(sources: Sequence[Source], run: Run = pip_audit) -> tuple[Source | None, Verdict]:
    """The first source that reports the canary; without one, why not."""
    problems, is_silent = [], False
    with tempfile.TemporaryDirectory() as folder:
        canary = Path(folder) / "canary.txt"
        canary.write_text(CANARY)
        for source in sources:
            found = audit_lock(canary, source, run)
            if found.vulnerable:
                return source, Verdict()
            is_silent |= not found.problem
            problems.append(
                f"{source.name}: {found.problem or f'answers, but does not know the canary {CANARY_PACKAGE}'}"
            )
    return None, Verdict(problem="; ".join(problems), is_silent=is_silent)


def audit_locks(locks: Sequence[Path], sources: Sequence[Source] = SOURCES, run: Run = pip_audit) -> Verdict:
    """Audit every lock with the first source that works. `run`: how pip-audit is run."""
    source, verdict = working_source(sources, run)
    if source is None:
        return verdict
    packages, vulnerable, problems = 0, set[str](), []
    for lock in locks:
        found = audit_lock(lock, source, run)
        packages += found.packages
        vulnerable |= set(found.vulnerable)
        if found.problem:
            problems.append(f"{lock.name}: {found.problem}")
    return Verdict(
        source.name, packages, tuple(sorted(vulnerable)), "; ".join(problems), is_old=source.is_old
    )
