"""What is in the repository may be seen by anyone, on any machine: no place of one machine, no index host, no secret."""

from __future__ import annotations

import re
from functools import cache

import pytest

from tests.repo.tracked import ROOT, tracked

MAX_BYTES = 1 << 20

# Spelled in pieces, so that this file does not hold what it looks for.
INDEX_WORDS = ("py" + "pi\\.", "pythonhosted" + "\\.", "--index" + "-url", "--extra-index" + "-url")
INDEX_HOSTS = re.compile("|".join(INDEX_WORDS))
FOLDERS = ("ho" + "me", "ro" + "ot", "wo" + "rk", "fa" + "rm", "Us" + "ers", "mn" + "t", "work" + "space")
MACHINE_PATHS = re.compile(rf"(?<![\w.\-/}}~])/(?:{'|'.join(FOLDERS)})/[A-Za-z0-9_.]+")
SECRETS = {
    "a private key": re.compile("-----BEGIN [A-Z ]*PRIVATE " + "KEY-----"),
    "an AWS key": re.compile(r"AKI" + r"A[0-9A-Z]{16}"),
    "a GitHub token": re.compile(r"gh[pousr]_" + r"[A-Za-z0-9]{36}"),
    "an API key of Homeostat": re.compile(r"hs_" + r"(?!0{12})[0-9a-f]{12}_[A-Za-z0-9_-]{43}"),
    "a Slack token": re.compile(r"xox" + r"[abprs]-[0-9A-Za-z-]{20,}"),
    "a Google API key": re.compile(r"AIza" + r"[0-9A-Za-z_-]{35}"),
    "a signed token (JWT)": re.compile(
        r"eyJ" + r"[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{20,}"
    ),
    "a password in an address": re.compile(r"://[^/\s:@{}<>$]+:[^/\s@{}<>$]+@"),
}


@cache
def texts() -> tuple[tuple[str, str], ...]:
    found = []
    for path in tracked():
        try:
            found.append((str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return tuple(found)


def hits(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{text[: match.start()].count(chr(10)) + 1}: {match[0]}"
        for name, text in texts()
        for match in pattern.finditer(text)
    ]


def test_no_path_of_one_machine() -> None:
    """But for a folder of Kafka's image."""
    of_kafka = "/mn" + "t/shared"
    assert [hit for hit in hits(MACHINE_PATHS) if not hit.endswith(f" {of_kafka}")] == []


def test_no_host_of_a_package_index() -> None:
    assert hits(INDEX_HOSTS) == []


@pytest.mark.parametrize("kind", sorted(SECRETS))
def test_no_secret(kind: str) -> None:
    assert hits(SECRETS[kind]) == [], f"{kind} is in the repository"


def test_the_patterns_find_what_they_are_for() -> None:
    assert MACHINE_PATHS.search("see /" + "home/ada/notes")
    assert not MACHINE_PATHS.search("https://host/" + "home/page")
    assert INDEX_HOSTS.search("https://py" + "pi.org/simple")
    assert SECRETS["a private key"].search("-----BEGIN EC PRIVATE " + "KEY-----")
    assert SECRETS["an API key of Homeostat"].search("hs_" + "0123456789ab_" + "A" * 43)
    assert SECRETS["a signed token (JWT)"].search("eyJ" + "h" * 20 + ".eyJ" + "p" * 20 + "." + "s" * 30)
    assert SECRETS["a password in an address"].search("postgres://ada:" + "secret@db/ledger")
    assert not SECRETS["a password in an address"].search("http://127.0.0.1:8000/predict")


def test_no_file_is_large() -> None:
    assert [
        f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes"
        for path in tracked()
        if path.stat().st_size > MAX_BYTES
    ] == []


def test_no_data_root_nor_build_output() -> None:
    suffixes = {".sqlite", ".pem", ".key", ".pub", ".onnx", ".parquet", ".log", ".pyc", ".jar", ".whl"}
    assert [str(path.relative_to(ROOT)) for path in tracked() if path.suffix in suffixes] == []


def test_every_text_file_ends_with_a_line_end() -> None:
    assert [name for name, text in texts() if text and not text.endswith("\n")] == []
