"""The broker's jars: pinned by coordinates and sha256 in `locks/kafka-jars.txt`, downloaded once, verified before every start."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.errors import DependencyUnavailable, OperatorError

LOCK = Path(__file__).resolve().parents[2] / "locks" / "kafka-jars.txt"
ROOTS = (
    "org.apache.kafka:kafka_2.13:4.2.0",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.3",
    "org.apache.logging.log4j:log4j-core:2.25.3",
)


@dataclass(frozen=True)
class Jar:
    """One pinned jar: Maven `coordinates` (group:artifact:version) and the `sha256` of its bytes."""

    coordinates: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the file, `artifact-version.jar`."""
        _, artifact, version = self.coordinates.split(":")
        return f"{artifact}-{version}.jar"


def read_lock(lock: Path = LOCK) -> list[Jar]:
    """The pinned jars, in the order of the file: `coordinates sha256=…` a line, `#` starts a comment."""
    jars = []
    for line in lock.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            coordinates, digest = line.split()
            jars.append(Jar(coordinates, digest.removeprefix("sha256=")))
    return jars


def ensure_jars(
    folder: Path,
    *,
    on_progress: Callable[[str], None] = lambda _: None,
    fetched: Callable[[int, int], None] = lambda *_: None,
    lock: Path = LOCK,
) -> list[Path]:
    """The class path: every pinned jar in `folder`, downloaded if missing, verified against the lock.

    1. Whatever lies in the folder with the right digest is used as it is; no network is touched.
    2. What is missing or different is fetched beside the folder, checked, and only then moved in.

    `on_progress` receives a sentence when a download starts, `fetched` the number of downloaded jars and of all.
    Raises `DependencyUnavailable` when a jar
    can be had from nowhere, `OperatorError` when the fetched bytes are not the pinned ones.
    """
    jars = read_lock(lock)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        missing = [jar for jar in jars if not _has(folder, jar)]
        if missing:
            on_progress(f"downloading {len(missing)} of the broker's {len(jars)} jars into {folder}")
            _fetch(missing, folder, fetched)
    return [folder / jar.file_name for jar in jars]


def present(folder: Path, lock: Path = LOCK) -> bool:
    """Whether `folder` has every pinned jar with its sha256."""
    return all(_has(folder, jar) for jar in read_lock(lock))


def _has(folder: Path, jar: Jar) -> bool:
    path = folder / jar.file_name
    return path.is_file() and _sha256(path) == jar.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fetch(jars: list[Jar], folder: Path, fetched: Callable[[int, int], None]) -> None:
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as fresh:
        context = MavenContext(repo_cache=Path(fresh), timeout=60)

        def fetch(jar: Jar) -> None:
            group, artifact, version = jar.coordinates.split(":")
            try:
                got = context.project(group, artifact).at_version(version).artifact().resolve()
            except (OSError, RuntimeError) as error:
                raise DependencyUnavailable(
                    f"the broker's jar {jar.coordinates} could not be downloaded: {error}",
                    hint="check the network, or copy the jars named in locks/kafka-jars.txt into the folder "
                    f"{folder} (setting HOMEOSTAT_KAFKA_JARS)",
                ) from error
            digest = _sha256(got)
            if digest != jar.sha256:
                raise OperatorError(
                    f"the jar downloaded for {jar.coordinates} has sha256 {digest}, but locks/kafka-jars.txt pins {jar.sha256}",
                    hint="do not use it; check the proxy or mirror that served it",
                )
            os.replace(got, folder / jar.file_name)

        with ThreadPoolExecutor(max_workers=6) as pool:
            for place, done in enumerate([pool.submit(fetch, jar) for jar in jars], start=1):
                done.result()
                fetched(place, len(jars))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock of a folder: one process at a time downloads into it."""
    with (folder / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def resolve_lock() -> str:
    """Text of a fresh lock: resolves `ROOTS` at runtime scope, fetches every jar and hashes it. For maintainers, see main."""
    from jgo.maven import MavenContext

    fresh = Path(tempfile.mkdtemp(prefix="kafka-jars-"))
    try:
        context = MavenContext(repo_cache=fresh, timeout=60)
        # "!" keeps the roots' own dependency management from rewriting each other's versions.
        roots, others = context.resolver.resolve([context.create_dependency(f"{root}!") for root in ROOTS])
        lines = []
        for dependency in [*roots, *others]:
            coordinates = f"{dependency.groupId}:{dependency.artifactId}:{dependency.version}"
            lines.append(f"{coordinates} sha256={_sha256(dependency.artifact.resolve())}")
        return (
            "# The broker's jars, pinned. Made by `python -m local_stack.kafka.jars`.\n"
            + "\n".join(sorted(lines))
            + "\n"
        )
    finally:
        shutil.rmtree(fresh)


if __name__ == "__main__":
    sys.stdout.write(resolve_lock())
