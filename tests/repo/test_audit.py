"""`make audit`: it finds what it is for, and never passes for vulnerabilities that nothing was asked about."""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from datetime import UTC, datetime, timedelta
from importlib import import_module
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest
from packaging.utils import canonicalize_name

from tests.audit.__main__ import hint_of, status_of, vulnerabilities_text
from tests.audit.advisory_server import serving
from tests.audit.bills import IMAGES, LOCKS, licences_of, write_bill
from tests.audit.dockerfile_lint import problems_of
from tests.audit.vulnerabilities import CANARY, Source, Verdict, audit_locks
from tests.containers.dockerfile import DOCKERFILE
from tests.repo.test_locks import pins

ADVISORY = """
id: PYSEC-0000-1
modified: "MODIFIED"
details: an example
affected:
- package: {name: jinja2, ecosystem: PyPI}
  ranges: [{type: ECOSYSTEM, events: [{introduced: "0"}, {fixed: 2.11.3}]}]
  versions: ["2.11.1", 2.11.2]
- package: {name: flask, ecosystem: PyPI}
  versions: ["0.1"]
"""
UNREACHABLE = Source(
    "nowhere", ("--vulnerability-service", "osv", "--osv-url", "http://127.0.0.1:1/v1/query")
)


def in_process(arguments: Sequence[str]) -> tuple[str, str]:
    """As `pip_audit`, in this process: its imports take longer than an audit. One test runs the real command."""
    audit = import_module("pip_audit._cli").audit
    output, errors = StringIO(), StringIO()
    handler = logging.StreamHandler(errors)
    handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    logging.getLogger("pip_audit").addHandler(handler)
    try:
        with patch.object(sys, "argv", ["pip-audit", *arguments]), redirect_stdout(output):
            with redirect_stderr(errors), suppress(SystemExit):
                audit()
    except Exception:
        traceback.print_exc(file=errors)  # as the interpreter does at the end of a process
    finally:
        logging.getLogger("pip_audit").removeHandler(handler)
    return output.getvalue(), errors.getvalue()


def advisory(age: timedelta = timedelta()) -> str:
    return ADVISORY.replace("MODIFIED", (datetime.now(UTC) - age).isoformat())


@pytest.fixture
def advisories(tmp_path: Path) -> Iterator[Source]:
    folder = tmp_path / "advisories"
    (folder / "vulns" / "jinja2").mkdir(parents=True)
    (folder / "vulns" / "jinja2" / "PYSEC-0000-1.yaml").write_text(advisory())
    with serving(folder) as source:
        yield source


@pytest.fixture
def locks(tmp_path: Path) -> list[Path]:
    sound, vulnerable = tmp_path / "sound.txt", tmp_path / "vulnerable.txt"
    digest = f"--hash=sha256:{'1' * 64}"
    sound.write_text(f"jinja2==3.1.6 \\\n    {digest}\nclick==8.1.7 \\\n    {digest}\n")
    vulnerable.write_text(CANARY)
    return [sound, vulnerable]


def test_vulnerable_package_of_a_lock_is_found(advisories: Source, locks: list[Path]) -> None:
    assert audit_locks(locks[:1], [UNREACHABLE, advisories], in_process) == Verdict(advisories.name, 2)
    found = audit_locks(locks, [advisories], in_process)
    assert found.vulnerable == ("jinja2 2.11.2: PYSEC-0000-1 (fixed in 2.11.3)",)
    assert status_of(found, others_passed=True, offline=True) == 1
    assert "1 vulnerabilities in 3 locked packages" in vulnerabilities_text(found)


def test_source_that_cannot_be_reached_is_no_clean_result(locks: list[Path]) -> None:
    verdict = audit_locks(locks, [UNREACHABLE], in_process)
    assert not verdict.source
    assert "vulnerabilities: not checked, no advisory source reachable (nowhere: " in vulnerabilities_text(
        verdict
    )
    assert status_of(verdict, others_passed=True, offline=False) == 3
    assert status_of(verdict, others_passed=True, offline=True) == 0
    assert status_of(verdict, others_passed=False, offline=True) == 1


def test_what_to_do_is_said_where_vulnerabilities_were_not_checked() -> None:
    assert all(name in hint_of(3) for name in ("AUDIT_ADVISORIES", "AUDIT_OFFLINE=1", "OSV"))
    assert (hint_of(0), hint_of(1)) == ("", "")


def test_old_copy_is_no_complete_check(tmp_path: Path, locks: list[Path]) -> None:
    (tmp_path / "advisories.yaml").write_text(advisory(age=timedelta(days=31)))
    with serving(tmp_path) as source:
        verdict = audit_locks(locks[:1], [source], in_process)
    assert verdict.is_old
    assert re.search(r"the newest of \d{4}-\d\d-\d\d$", vulnerabilities_text(verdict))
    assert status_of(verdict, others_passed=True, offline=False) == 3
    assert status_of(verdict, others_passed=True, offline=True) == 0


def test_source_that_knows_nothing_of_the_canary_fails(tmp_path: Path, locks: list[Path]) -> None:
    (tmp_path / "empty").mkdir()
    with serving(tmp_path / "empty") as source:
        verdict = audit_locks(locks[:1], [source], in_process)
    assert "a source of advisories does not work" in vulnerabilities_text(verdict)
    assert status_of(verdict, others_passed=True, offline=True) == 1, (
        "nobody may accept a source that is silent"
    )


def test_package_that_cannot_be_audited_fails(advisories: Source, tmp_path: Path) -> None:
    lock = tmp_path / "unpinned.txt"
    lock.write_text("jinja2\n")
    verdict = audit_locks([lock], [advisories])
    assert verdict.problem.startswith("unpinned.txt: ")
    assert status_of(verdict, others_passed=True, offline=True) == 1


@pytest.mark.parametrize("image", ["prediction_log", "retraining"])
def test_bill_of_materials_lists_the_lock(image: str, tmp_path: Path) -> None:
    count = write_bill(image, tmp_path, validate=image == "prediction_log")
    document = json.loads((tmp_path / f"{image}.cdx.json").read_text())
    locked = {(canonicalize_name(name), version) for name, version in pins(LOCKS / f"{image}.txt").items()}
    listed = {(canonicalize_name(one["name"]), one["version"]) for one in document["components"]}
    assert listed >= locked
    assert {name for name, _ in listed} == {name for name, _ in locked}
    assert count == len(document["components"])
    hashes = [
        {digest["alg"] for reference in one["externalReferences"] for digest in reference["hashes"]}
        for one in document["components"]
    ]
    assert all(algorithms == {"SHA-256"} for algorithms in hashes)
    licensed = sum("licenses" in one for one in document["components"])
    assert licensed > 0.5 * count
    assert "://" not in json.dumps([one["externalReferences"] for one in document["components"]])


def test_every_image_has_a_bill_of_materials() -> None:
    """Each lock but those of development and tests is one of an image; retraining has one for each launcher."""
    others = {"dev", "uv", "sbom", "export", "kafka-jars", "kubernetes"}
    found = {path.stem for path in LOCKS.glob("*.txt") if not path.stem.startswith("client_")}
    assert found - others == set(IMAGES)


def test_licence_of_another_version_is_not_taken() -> None:
    assert licences_of("pytest", "0.0.1") == []
    assert licences_of("no-such-package", "1") == []
    assert licences_of("pytest", pins(LOCKS / "dev.txt")["pytest"]) != []


def test_dockerfile_keeps_the_rules() -> None:
    assert problems_of(DOCKERFILE) == []


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("FROM python", "DL3006"),
        ("FROM python:latest", "DL3007"),
        ("FROM python:3.11", "pinned base"),
        ("ARG API_TOKEN=abc", "DL3064"),
        ("ENV DB_PASSWORD=secret", "DL3064"),
        ("ADD https://example.org/x.tar.gz /x", "no URL"),
        ("ADD files /files", "DL3020"),
        ("RUN apt-get update && apt-get install --yes curl=1", "DL3009"),
        ("RUN apt-get install --yes curl", "DL3008"),
        ("RUN sudo ls", "DL3004"),
        ("RUN cd /tmp", "DL3003"),
        ("RUN curl -f http://127.0.0.1/x | sh", "DL4006"),
        ("RUN pip install requests==2.0.0", "DL3042"),
        ("MAINTAINER me", "DL4000"),
        ("USER root", "DL3002"),
        ("CMD python x.py", "DL3025"),
        ("ENTRYPOINT python", "DL3025"),
    ],
)
def test_violation_of_a_rule_is_found(line: str, rule: str, tmp_path: Path) -> None:
    sound = "FROM python:3.11.15-slim-bookworm\nWORKDIR /app\n"
    file = tmp_path / "Dockerfile"
    file.write_text(sound)
    assert problems_of(file) == []
    file.write_text(f"{line}\n" if line.startswith("FROM") else f"{sound}{line}\n")
    assert any(rule in problem for problem in problems_of(file)), problems_of(file)
