"""`python -m tests.containers.engine`: every image is built and the composition walked on a real Docker Engine.

1. Use the machine's engine, or start one from Debian's packages; provide base images.
2. Copy the tracked and new files of this clone to a folder of its own, as a new user has them.
3. Walk docs/containers.md. One line a check; the last line has the figures. Exit code 0 only if every check and bar held.

The composition has a project name of its own, so that a stack of yours is not touched; but its ports must be free.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.containers.composition import ROOT
from tests.containers.engine import sizes
from tests.containers.engine.checks import CheckFailed, Checks
from tests.containers.engine.engine import DebianEngine, EngineError, MachineEngine
from tests.containers.engine.figures import render, replaced
from tests.containers.engine.other_starts import three_brokers, upgrade
from tests.containers.engine.stack import PAGE, PROJECT, Stack
from tests.containers.engine.stand_ins import provide
from tests.containers.engine.walk import TEMPLATES, Walk

WORK = Path("/var/tmp/homeostat-containers")
FIGURES = ROOT / "build" / "containers.json"


def copy_clone(folder: Path) -> None:
    """A copy of this clone's files, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    shutil.rmtree(folder, ignore_errors=True)
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def main(arguments: list[str] | None = None) -> int:
    """Walk. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="tests.containers.engine",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=WORK,
        help="folder for the copy of the clone and an engine of its own; 25 GB",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave engine, images and volumes for the next walk"
    )
    parser.add_argument(
        "--write", action="store_true", help="write the figures to docs/containers.md if nothing failed"
    )
    parser.add_argument(
        "--upgrade-from", default="", help="commit or tag whose images write the volumes of an upgrade"
    )
    given = parser.parse_args(arguments)
    clone = given.work / "clone"
    began = time.monotonic()
    engine: MachineEngine | DebianEngine = MachineEngine()
    try:
        if not MachineEngine.responds():
            engine = DebianEngine(given.work)
            print(
                f"no Docker Engine answers here: one is started from Debian's packages below {given.work}",
                flush=True,
            )
            engine.start()
        copy_clone(clone)
        stand_ins = provide(engine, given.work, lambda text: print(text, flush=True))
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    stack = Stack(engine, clone, {"COMPOSE_PROJECT_NAME": PROJECT})
    stack.attempt("docker compose --profile '*' down --volumes")
    checks = Checks()
    figures: dict[str, Any] = {}
    walk = Walk(stack, checks, has_grafana_stub=any(name.startswith("grafana/") for name in stand_ins))
    try:
        walk.secrets()
        walk.build()
        found = sizes.measure(stack)
        for name, bar in sizes.BARS_MB.items():
            checks(f"{name} is at most {bar} MB on the official base", partial(sizes.hold, found, name, bar))
        steps: list[Callable[[], None]] = [walk.first_start]
        for library, lock in TEMPLATES.items():
            steps += [partial(walk.own_model, library, lock), partial(walk.retrain, library.replace("-", ""))]
        steps += [
            walk.demo,
            walk.faults,
            partial(walk.stop_and_start, engine),
            walk.backup,
            walk.observability,
            partial(three_brokers, stack, checks),
        ]
        if given.upgrade_from:
            steps.append(partial(upgrade, stack, checks, given.work, given.upgrade_from))
        for step in steps:
            try:
                step()
            except CheckFailed as error:  # what a check needs beforehand: the next steps may still hold
                checks.failed.append(str(error))
                print(f"FAILED  {error}", flush=True)
            figures = {
                "checks": len(checks.seconds),
                "failed": checks.failed,
                "stand_ins": stand_ins,
                "sizes_mb": found,
                "seconds": {**walk.seconds, "all": time.monotonic() - began},
                "memory": walk.memory,
                "load": os.getloadavg()[1],
                "cores": os.cpu_count(),
            }
            FIGURES.parent.mkdir(exist_ok=True)
            FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    finally:
        if not given.keep:
            stack.attempt("docker compose --profile '*' down --volumes")
            if isinstance(engine, DebianEngine):
                engine.remove()
    if given.write and not checks.failed:
        PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), render(figures)), encoding="utf-8")
    shown = ", ".join(f"{name} {size} MB" for name, size in found.items())
    times = ", ".join(f"{name} {seconds / 60:.1f} min" for name, seconds in figures["seconds"].items())
    print(
        f"containers: {len(checks.seconds)} checks, failed={len(checks.failed)}; {shown}; {times}; load {figures['load']:.0f}"
    )
    return 1 if checks.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
