"""The Dockerfile as the tests read it: what an image of a target and its arguments would hold and run."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    """One instruction: `name` in capitals, and what follows it with continued lines joined."""

    name: str
    text: str

    @property
    def flags(self) -> dict[str, str]:
        """`--flag=value` before the arguments."""
        found = (word.lstrip("-").partition("=") for word in self.text.split() if word.startswith("--"))
        return {name: value for name, _, value in found}

    @property
    def words(self) -> list[str]:
        """The arguments after the flags; those of an exec form as they are in its list."""
        rest = re.sub(r"^(--\S+\s+)+", "", self.text)
        return [str(word) for word in json.loads(rest)] if rest.startswith("[") else shlex.split(rest)

    @property
    def is_exec_form(self) -> bool:
        """Whether the command is a list, so that it is started without a shell and gets the signals itself."""
        return self.text.lstrip().startswith("[")


@dataclass(frozen=True)
class Stage:
    """One stage: its `name`, what it stands on (`base`, not yet with arguments filled in) and its instructions."""

    name: str
    base: str
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True)
class Copy:
    """One COPY: the `sources` in the repository (or in the stage `origin`) and where they go."""

    sources: tuple[str, ...]
    target: str
    origin: str


@dataclass
class Image:
    """What the image of a target is made of."""

    base: str = ""
    stages: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    copies: list[Copy] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    folder: str = "/"
    user: str = ""
    stop_signal: str = ""
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)


def instructions(text: str) -> list[Instruction]:
    """Every instruction of a Dockerfile in order, comments left out."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", lines)
    found = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return [Instruction(name.upper(), rest.strip()) for name, _, rest in found]


@cache
def read(path: Path = DOCKERFILE) -> tuple[dict[str, str], dict[str, Stage]]:
    """The arguments before the first stage with their defaults, and the stages by name."""
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    name, base, held = "", "", list[Instruction]()
    for one in instructions(path.read_text(encoding="utf-8")):
        if one.name == "FROM":
            if name:
                stages[name] = Stage(name, base, tuple(held))
            base, _, name = one.text.partition(" AS ")
            held = []
        elif name:
            held.append(one)
        else:
            key, _, value = one.text.partition("=")
            arguments[key] = value
    stages[name] = Stage(name, base, tuple(held))
    return arguments, stages


def image(target: str, given: Mapping[str, str] | None = None, path: Path = DOCKERFILE) -> Image:
    """The image that `docker build --target` would make with these build arguments."""
    defaults, stages = read(path)
    arguments = {**defaults, **(given or {})}
    built = Image()
    chain: list[Stage] = []
    wanted = target
    while wanted in stages:
        chain.append(stages[wanted])
        wanted = filled(_below(stages[wanted]), arguments)
    built.base = wanted
    for stage in reversed(chain):
        built.stages.append(stage.name)
        _apply(built, stage, arguments)
    return built


def _below(stage: Stage) -> str:
    """What a stage stands on; one that copies the whole of another into nothing stands on that one."""
    for one in stage.instructions:
        if stage.base == "scratch" and one.name == "COPY" and one.words == ["/", "/"]:
            return one.flags["from"]
    return stage.base


def filled(text: str, arguments: Mapping[str, str]) -> str:
    """The text with `${NAME}` replaced; a name nobody gave stays, so that a test can see it."""
    return re.sub(r"\$\{(\w+)\}", lambda match: arguments.get(match[1], match[0]), text)


def _apply(built: Image, stage: Stage, arguments: Mapping[str, str]) -> None:
    for one in stage.instructions:
        one = Instruction(one.name, filled(one.text, arguments))
        if one.name in ("ENV", "LABEL"):
            place = built.environment if one.name == "ENV" else built.labels
            for word in one.words:
                key, _, value = word.partition("=")
                place[key] = value
        elif one.name == "COPY":
            *sources, to = one.words
            built.copies.append(Copy(tuple(sources), to, one.flags.get("from", "")))
        elif one.name == "RUN":
            built.runs.append(re.sub(r"^(--\S+\s+)+", "", one.text))
        elif one.name == "EXPOSE":
            built.ports += [int(word) for word in one.words]
        elif one.name == "WORKDIR":
            built.folder = one.text
        elif one.name == "USER":
            built.user = one.text
        elif one.name == "STOPSIGNAL":
            built.stop_signal = one.text
        elif one.name == "CMD":
            built.command = one.words
        elif one.name == "HEALTHCHECK":
            built.healthcheck = json.loads(one.text.partition(" CMD ")[2])
