"""The code blocks of README and docs are alive: commands exist, YAML and JSON are what the services accept, Python runs."""

from __future__ import annotations

import ast
import json
import re
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from docs.generate import ROOT, pages
from docs.reference.commands import find_command
from docs.reference.routes import all_routes
from services.inference.http.outcome_items import check_item, split_items
from services.inference.models.input_schema import Schema
from services.inference.models.labels import Labels
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import parse_loop_spec
from tests.kubernetes.chart import SCHEMA as CHART_SCHEMA
from tests.kubernetes.chart import VALUES as CHART_VALUES
from tests.kubernetes.chart import merged
from tests.repo.tracked import tracked

PAGES = sorted(path for path in tracked() if path.suffix == ".md")
LANGUAGES = {"bash", "python", "yaml", "json", "text", "ini"}
# Not in the environment: tests/export runs the programs that import them.
RUN_ELSEWHERE = {"catboost", "lightgbm", "xgboost"}
# What a shell block may call besides `homeostat`: what the prerequisites give.
PROGRAMS = {
    "make",
    "apt-get",
    "git",
    "cd",
    "(cd",
    "curl",
    "python",
    "homeostat",
    ".venv/bin/homeostat",
    ".venv/bin/python",
    "source",
    "cp",
    "echo",
    "export",
    "set",
    "mkdir",
    "for",
    "done",
    ".ci/run",
    "docker",
    "bentoml",
    "deploy/containers/secrets.sh",
    "useradd",
    "install",
    "systemctl",
    "helm",
    "kubectl",
    "tar",
    ".venv/bin/uv",
}


@dataclass(frozen=True)
class Block:
    """One fenced block: where it stands, its language and its text."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(language: str = "") -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```(\S*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text[: match.start()].count("\n") + 1
            found.append(Block(str(page.relative_to(ROOT)), line, match[1], match[2]))
    return [block for block in found if not language or block.language == language]


def commands_of(block: Block) -> list[list[str]]:
    """Commands of a shell block, each as its words; a quotation may go over several lines, comments are left out."""
    found = []
    pending = ""
    for line in block.text.replace("\\\n", " ").splitlines():
        pending += line
        try:
            words = shlex.split(pending, comments=True)
        except ValueError:  # a quotation is still open
            pending += "\n"
            continue
        pending = ""
        found += [words] if words else []
    assert not pending, f"{block}: a quotation is never closed"
    return found


def make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE))


def test_every_code_block_has_a_language() -> None:
    assert {str(block) for block in blocks() if block.language not in LANGUAGES} == set()


@pytest.mark.parametrize("block", blocks("bash"), ids=str)
def test_commands_exist_as_written(block: Block) -> None:
    for words in commands_of(block):
        program = words[0]
        assert program in PROGRAMS, f"{block}: {program} is no program of ours"
        if program == "make":
            targets = {word for word in words[1:] if "=" not in word}
            assert targets <= make_targets(), f"{block}: the Makefile has no {targets - make_targets()}"
        elif program.endswith("homeostat"):
            command = find_command(words[1:])
            assert command is not None, f"{block}: there is no command {words[1]}"
            options = {word.split("=")[0] for word in words if word.startswith("--")} - {"--help"}
            unknown = {option for option in options if option not in command.options}
            assert not unknown, f"{block}: {words[1]} takes no {unknown}"
        elif program.endswith("python") and words[1:2] == ["-m"]:
            module = ROOT / words[2].replace(".", "/")
            assert words[2] == "pytest" or module.is_dir() or module.with_suffix(".py").is_file(), (
                f"{block}: no module {words[2]}"
            )


def matches(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\\{\w+\\}", r"[^/]+", re.escape(template)), path) is not None


@pytest.mark.parametrize(
    "block", [block for block in blocks() if block.language in ("bash", "python")], ids=str
)
def test_addresses_are_routes_of_the_service_on_that_port(block: Block) -> None:
    owners = {
        "8000": "services.inference",
        "8001": "services.prediction_log",
        "8002": "services.drift",
        "8003": "services.retraining",
        "8004": "services.prediction_log",
    }
    for port, path in re.findall(r"(?:localhost|127\.0\.0\.1):(\d+)(/[^\s\"'?]*)", block.text):
        paths = [route.path for route in all_routes() if route.owner == owners[port]]
        spelled = path.replace("$", "")
        assert any(matches(template, spelled) for template in paths), f"{block}: {owners[port]} has no {path}"


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_yaml_is_a_specification_or_part_of_one(block: Block) -> None:
    document = yaml.safe_load(block.text)
    if "receivers" in document:
        return  # Alertmanager's, which its own tool checks: test_alerts.py
    if "modelStore" in document:  # values of the Helm chart
        Draft7Validator(CHART_SCHEMA).validate(merged(CHART_VALUES, document))
        return
    if "model" in document:
        parse_loop_spec(block.text)
    else:
        assert set(document) <= set(LoopSpec.model_fields), f"{block} has keys loop.yaml does not know"
        complete = yaml.safe_load((ROOT / "cli" / "templates" / "loop.yaml").read_text(encoding="utf-8"))
        # A policy file gives a part of `retraining`.
        if "retraining" in document:
            document["retraining"] = {**complete["retraining"], **document["retraining"]}
        LoopSpec.model_validate({**complete, **document})


def bodies() -> list[tuple[Block, str, Any]]:
    """Every JSON body posted in a shell block, with the path it goes to."""
    found = []
    for block in blocks("bash"):
        for words in commands_of(block):
            for option in ("-d", "--json", "--data"):
                if words[0] == "curl" and option in words:
                    address = next(word for word in words if "://" in word or ":80" in word)
                    path = (
                        "/" + address.split("/", 3)[-1] if "://" in address else address[address.index("/") :]
                    )
                    found.append((block, path, json.loads(words[words.index(option) + 1])))
    return found


def specifications() -> dict[str, LoopSpec]:
    """The model projects that come with the repository, by the name of their model."""
    files = [*(ROOT / "examples").glob("*/loop.yaml"), ROOT / "cli" / "templates" / "loop.yaml"]
    found = [parse_loop_spec(file.read_text(encoding="utf-8")) for file in files]
    return {spec.model: spec for spec in found}


def test_bodies_for_predict_are_what_the_projects_take() -> None:
    shown = set()
    for block, path, body in bodies():
        if path == "/predict":
            assert set(body) <= {"model", "event_time", "rows"}, str(block)
            assert Schema(specifications()[body["model"]].features).batch(body["rows"]).rows == len(
                body["rows"]
            )
            shown.add(body["model"])
    # Nobody reads a page with the numbers of a picture.
    readable = {name for name, spec in specifications().items() if not any(f.shape for f in spec.features)}
    assert shown == readable


def test_bodies_for_outcomes_are_accepted() -> None:
    shown = 0
    prediction = specifications()["flights"].prediction
    for _, path, body in bodies():
        if path == "/outcomes":
            for row, item in enumerate(split_items(body, maximum=10_000)):
                now = datetime.now(UTC)
                check_item(
                    item,
                    row=row,
                    model_of=lambda _: "flights",
                    prediction_of=lambda _: prediction,
                    labels_of=lambda _: Labels(prediction),
                    now=now,
                )
                shown += 1
    assert shown >= 1


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_is_json(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_compiles_and_imports_what_exists(block: Block) -> None:
    import importlib

    for node in ast.walk(ast.parse(block.text, filename=str(block))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name not in RUN_ELSEWHERE:
                    importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names)


def test_a_page_of_the_docs_is_reached_from_the_readme() -> None:
    """Follow the links from the README: what cannot be reached is not read."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
        waiting += [(page.parent / link).resolve() for link in links]
    assert {str(page.relative_to(ROOT)) for page in pages()} - {
        str(page.relative_to(ROOT)) for page in seen
    } == set()
