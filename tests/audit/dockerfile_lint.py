"""The Dockerfile against hadolint's rules and two of our own: base images with full versions, and nothing added from a URL."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.containers.dockerfile import instructions

PINNED = re.compile(r"^\S+:v?\d+\.\d+\.\d+\S*$|^\S+@sha256:[0-9a-f]{64}$|^scratch$")


def problems_of(dockerfile: Path) -> list[str]:
    """What is wrong, each as `line or instruction: rule: message`. Raises RuntimeError if hadolint does not run."""
    command = [
        str(Path(sys.executable).with_name("hadolint")),
        "--no-color",
        "--format",
        "json",
        str(dockerfile),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"hadolint: {done.stderr.strip()[:500]}")
    found = [f"line {one['line']}: {one['code']}: {one['message']}" for one in json.loads(done.stdout)]
    return found + _own(dockerfile.read_text(encoding="utf-8"))


def _own(text: str) -> list[str]:
    found, stages, arguments = [], set[str](), dict[str, str]()
    for one in instructions(text):
        if one.name == "ARG" and not stages:
            name, _, value = one.text.partition("=")
            arguments[name] = value
        if one.name == "FROM":
            base, *rest = one.words
            filled = re.sub(r"\$\{(\w+)\}", lambda match: arguments.get(match[1], ""), base)
            is_stage = filled in stages or any(
                known.startswith(base.partition("$")[0]) for known in stages if "$" in base
            )
            if not is_stage and not PINNED.match(filled):
                found.append(f"FROM {base}: pinned base: name the full version or a digest")
            stages.update(rest[1:])
        if one.name == "ADD" and re.search(r"\b(https?|git|ssh)://|\bgit@", one.text):
            found.append(f"ADD {one.text}: no URL: download in a RUN that checks a hash, or COPY a file")
    return found
