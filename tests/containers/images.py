"""What an image would hold, laid out in folders: the environment of its lock, and the files that its COPY lines name.

The environments lie below `build/images` and are kept between sessions; uv makes them from its cache within a second. The image
compiles its packages (`UV_COMPILE_BYTECODE`), which takes minutes: here the compiled modules of our own environment are taken.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from sysconfig import get_path

from tests.containers.dockerfile import ROOT, Image
from tests.waiting import bound

ENVIRONMENTS = ROOT / "build" / "images"
UV = Path(sys.executable).with_name("uv")
_MARK = "made-from"


def environment_of(lock: str) -> Path:
    """The virtual environment of `locks/<lock>.txt`, made as the Dockerfile makes it; kept until the lock changes.

    Raises RuntimeError with what uv says, such as the packages it may not fetch.
    """
    folder = ENVIRONMENTS / lock
    file = ROOT / "locks" / f"{lock}.txt"
    wanted = sha256(file.read_bytes()).hexdigest() + " with bytecode"
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with (ENVIRONMENTS / f"{lock}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        mark = folder / _MARK
        if not mark.is_file() or mark.read_text() != wanted:
            _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
            python = str(folder / "bin" / "python")
            _uv("pip", "sync", "--quiet", "--require-hashes", "--python", python, str(file))
            _take_bytecode(folder)
            mark.write_text(wanted)
    return folder


def _take_bytecode(folder: Path) -> None:
    """Link the compiled modules of the environment that runs the tests, where the source is the same file in uv's cache.

    Without them, every process in a sandbox compiles all that it imports, since it may not write.
    """
    ours, theirs = (Path(get_path("purelib", vars={"base": str(base)})) for base in (sys.prefix, folder))
    for compiled in ours.rglob("*.pyc"):
        name = compiled.name.partition(".")[0] + ".py"
        source = compiled.parent.parent / name
        place = theirs / compiled.relative_to(ours)
        with suppress(OSError):
            if source.samefile(place.parent.parent / name):
                place.parent.mkdir(exist_ok=True)
                place.hardlink_to(compiled)


def lay_out(image: Image, root: Path) -> None:
    """Copy into `root` what the COPY lines take from the repository, where they put it; nothing there can be written after."""
    for copy in image.copies:
        if copy.origin:
            continue
        for source in copy.sources:
            _copy(ROOT / source, root / copy.target.lstrip("/"), into=copy.target.endswith("/"))
    for path in sorted(root.rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)


def ignored(path: Path) -> bool:
    """Whether .dockerignore keeps a file of the repository from the builder."""
    outside = True
    place = path.relative_to(ROOT).as_posix()
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            allows = line.startswith("!")
            if _matches(line.lstrip("!").strip("/"), place):
                outside = not allows
    return outside


def _matches(pattern: str, place: str) -> bool:
    """Docker's way: a pattern that matches a folder matches what is in it; `**` stands for any number of folders."""
    expression = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
    return re.fullmatch(rf"{expression}(?:/.*)?", place) is not None


def _copy(source: Path, target: Path, *, into: bool) -> None:
    if source.is_dir():
        for path in source.rglob("*"):
            if path.is_file() and not ignored(path):
                _copy(path, target / path.relative_to(source), into=False)
        return
    if ignored(source):
        raise RuntimeError(
            f"{source.relative_to(ROOT)} is copied, but .dockerignore keeps it from the builder"
        )
    target = target / source.name if into else target
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _uv(*arguments: str) -> None:
    outer = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = subprocess.run(
        [str(UV), *arguments], capture_output=True, text=True, timeout=bound(600), env=outer
    )
    if done.returncode != 0:
        raise RuntimeError(f"`uv {' '.join(arguments)}` failed: {done.stderr.strip()[-1500:]}")
