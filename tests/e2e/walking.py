"""A person who reads a page and types its shell blocks, one command after the other, on a real stack of their own."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from local_stack.ports import free_port
from tests.waiting import bound, time_factor

ROOT = Path(__file__).parents[2]
ACTIVATE = "source .venv/bin/activate"
# What a page shows of a prediction's id; who follows it takes the one they got.
IDENTITY = re.compile(r"\b[0-9a-v]{32}\b")
SETTINGS = ("inference", "shipper", "drift", "retraining", "sink", "console", "broker", "controller")
WATCHING = ("prometheus", "alertmanager")
SHOWN = {"inference": 8000, "prometheus": 9090}
ARRIVAL_S = 30.0


def statements(page: str) -> list[str]:
    """The commands of a page's shell blocks, in order; a quotation or a `\\` at the end goes on in the next line."""
    found = []
    for block in re.findall(r"^```bash\n(.*?)^```$", (ROOT / page).read_text("utf-8"), re.M | re.S):
        pending = ""
        for line in block.splitlines():
            pending += line + "\n"
            try:
                words = shlex.split(pending.replace("\\\n", " "), comments=True)
            except ValueError:  # a quotation is still open
                continue
            if words and not line.endswith("\\"):
                found.append(pending.strip())
                pending = ""
        assert not pending.strip(), f"{page}: a command is never over: {pending}"
    return found


def of_the_demo() -> list[str]:
    """The commands of the README about the replay of the flights, on a stack of its own, from its start to its end."""
    found = statements("README.md")
    begins = next(place for place, one in enumerate(found) if one.startswith("homeostat demo"))
    ends = next(place for place, one in enumerate(found) if one.startswith("homeostat down --home"))
    return found[begins : ends + 1]


def program(page: str, first_line: str) -> str:
    """The Python block of a page that begins with this line."""
    found: list[str] = re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text("utf-8"), re.M | re.S)
    return next(block for block in found if block.startswith(f"{first_line}\n"))


def recipe(target: str) -> str:
    """What `make target` does once the environment is installed."""
    match = re.search(
        rf"^{target}: venv.*\n\t(.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert match is not None, target
    return match[1].replace("$(BIN)", ".venv/bin")


class Walker:
    """Types in `folder` as in a clone, on free ports. `more` are settings that the page takes for granted."""

    def __init__(self, folder: Path, *, elsewhere: Mapping[int, int], more: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.typed: list[str] = []
        self.identity = ""
        self._before: list[str] = []  # what holds for the rest of a shell
        ports = {name: free_port() for name in (*SETTINGS, *WATCHING)}
        self.ports = {port: ports[name] for name, port in SHOWN.items()} | dict(elsewhere)
        (folder / ".venv").symlink_to(sys.prefix)
        # A refused request is no success, and no proxy of the machine stands between.
        (folder / ".curlrc").write_text('fail-with-body\nnoproxy = "*"\n')
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HOMEOSTAT_")}
        without = [one for one in kept["PATH"].split(":") if not (Path(one) / "homeostat").exists()]
        self._environment = {
            **kept,
            **{f"HOMEOSTAT_{name.upper()}_PORT": str(port) for name, port in ports.items()},
            **more,
            "CURL_HOME": str(folder),
            "PATH": ":".join(without),
            "PYTHONPATH": str(ROOT),
        }

    def type(self, statement: str, *, code: int = 0, within_s: float = 150.0) -> str:
        """Type a command and return what it said; it must end with `code`. An answer not logged yet is asked for again."""
        said = statement
        if statement.startswith("make "):
            said = recipe(statement.split()[1])
        for shown, port in self.ports.items():
            said = said.replace(f"localhost:{shown}", f"localhost:{port}")
        if self.identity:
            said = IDENTITY.sub(self.identity, said)
        ends = time.monotonic() + ARRIVAL_S * time_factor()
        while True:
            done = self._run(said, within_s)
            if done.returncode == code or "homeostat why" not in said or time.monotonic() > ends:
                break
            time.sleep(0.5)
        assert done.returncode == code, (
            f"`{said}` ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
        if statement == ACTIVATE or statement.startswith("set -a;"):
            self._before.append(said)
        if "/predict" in said and (found := IDENTITY.search(done.stdout)):
            self.identity = found[0]
        self.typed.append(statement)
        return done.stdout

    def _run(self, said: str, within_s: float) -> subprocess.CompletedProcess[str]:
        before = "".join(f"{one}\n" for one in self._before)
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", before + said],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=bound(within_s),
            check=False,
        )
