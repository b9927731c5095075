"""Every command that the program and its pages name exists, with the options that it takes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from docs.reference.commands import all_commands, find_command
from docs.reference.sources import parse
from tests.repo.tracked import ROOT, tracked

FOLDERS = ("cli", "shared", "services", "containers", "dashboards", "examples", "loadtests", "docs")
PAGES = (".md", ".yml", ".yaml", ".sh", ".js", ".html", ".ipynb", ".json")
# In running text only what stands in backticks is a command; a hint may be one as a whole.
QUOTED = re.compile(r"`(?:\.venv/bin/)?homeostat ([^`]+)`", re.DOTALL)
WHOLE = re.compile(r"(?:^|&& |; |python -m )homeostat ((?:[a-z][a-z-]+)[^;,&`(]*)")
# Group commands, named for all of theirs.
GROUPS = {name.split()[0] for name in (command.name for command in all_commands()) if " " in name}


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every text of a module, formatted ones with `…` where a value goes."""
    # Parents come before their parts.
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            inside.update(map(id, node.values))
            parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
            yield node.lineno, "".join(str(part) for part in parts)


def named_commands() -> Iterator[tuple[str, str]]:
    """(where, the words after `homeostat`) of every command that texts and pages name."""
    for path in tracked():
        place = str(path.relative_to(ROOT))
        if place.startswith("tests/") or place == "CHANGELOG.md":
            continue
        if path.suffix == ".py" and place.split("/")[0] in FOLDERS:
            for line, text in texts(parse(path)):
                found = QUOTED.findall(text) + WHOLE.findall(QUOTED.sub("", text))
                yield from ((f"{place}:{line}", one) for one in found)
        elif path.suffix in PAGES:
            text = path.read_text(encoding="utf-8")
            yield from ((place, one) for one in QUOTED.findall(text))


def wrong_with(said: str) -> str:
    """What is wrong with the words after `homeostat`; empty where they are a command."""
    words = said.replace("…", " … ").split()
    if words[0].startswith(("…", "--", "[", "<")) or (words[0] in GROUPS and len(words) == 1):
        return ""
    command = find_command(words)
    if command is None:
        return f"there is no command {words[0]}"
    options = {re.match(r"--[a-z-]+", word) for word in words}
    unknown = {one[0] for one in options if one and one[0] not in command.options} - {"--help"}
    return f"{command.name} takes no {', '.join(sorted(unknown))}" if unknown else ""


def test_every_named_command_exists() -> None:
    found = sorted(set(named_commands()))
    assert len({place.partition(":")[0] for place, _ in found}) > 40
    wrong = {place: f"homeostat {said}: {wrong_with(said)}" for place, said in found if wrong_with(said)}
    assert wrong == {}


@pytest.mark.parametrize("said", ["retrain", "up --detached", "inject drfit"])
def test_a_wrong_one_is_found(said: str) -> None:
    assert wrong_with(said)
