"""Base images under the names that the project asks for: pulled from a registry, else made from Debian's packages.

A stand-in has Debian's version of the program and a start of its own with the official image's variables (`bases/`); Kafka's has
the official jars. Grafana's is a stub that is healthy and takes annotations: nothing about Grafana is shown with it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from local_stack.kafka.jars import ensure_jars
from local_stack.settings import default_jar_folder
from tests.containers.composition import load
from tests.containers.dockerfile import read
from tests.containers.engine.engine import CERTIFICATES, DebianEngine, EngineError, MachineEngine, debootstrap

BASES = Path(__file__).with_name("bases")
FOLDERS = {
    "python": "python",
    "apache/kafka": "kafka",
    "postgres": "postgres",
    "prom/prometheus": "prometheus",
    "prom/alertmanager": "alertmanager",
    "grafana/grafana": "grafana_stub",
}
# What docs/containers.md makes the backup with, and the root of all stand-ins.
DEBIAN = "debian:12.12-slim"
ROOT = "homeostat-test/debian:bookworm"


def wanted() -> list[str]:
    """The images of others: Python's of the Dockerfile, those of compose.yaml, and that of the backup."""
    arguments, _ = read()
    services = load()["services"].values()
    foreign = [service["image"] for service in services if "build" not in service]
    return [DEBIAN, f"python:{arguments['PYTHON']}", *foreign]


def provide(
    engine: MachineEngine | DebianEngine, work: Path, on_progress: Callable[[str], None]
) -> list[str]:
    """Make sure that the engine has every image. Returns the names of those that are stand-ins. Raises EngineError."""
    missing = [name for name in wanted() if engine.run(f"docker image inspect {name}").returncode != 0]
    is_reachable = (
        bool(missing) and engine.run(f"timeout 120 docker pull --quiet {missing[0]}").returncode == 0
    )
    for name in missing:
        if is_reachable and engine.run(f"docker pull --quiet {name}").returncode == 0:
            continue
        on_progress(f"base image {name} from Debian's packages")
        _make(engine, work, name)
    # Only what came from a registry has a digest there.
    digests = "docker image inspect --format '{{len .RepoDigests}}'"
    return [name for name in wanted() if engine.run(f"{digests} {name}").stdout.strip() == "0"]


def _make(engine: MachineEngine | DebianEngine, work: Path, name: str) -> None:
    if engine.run(f"docker image inspect {ROOT}").returncode != 0:
        root, packed = work / "bookworm-root", work / "bookworm.tar"
        debootstrap("bookworm", "ca-certificates", root)
        subprocess.run(["tar", "-C", root, "-cf", packed, "."], check=True)
        _done(engine, f"docker import --change 'CMD [\"bash\"]' {packed} {ROOT}")
        packed.unlink()
        shutil.rmtree(root)
    if name == DEBIAN:
        _done(engine, f"docker tag {ROOT} {DEBIAN}")
        return
    folder = work / "bases" / FOLDERS[re.split(":", name)[0]]
    shutil.copytree(BASES / folder.name, folder, dirs_exist_ok=True)
    if folder.name == "python":  # builds reach the package index as this machine does
        shutil.copy(CERTIFICATES, folder / "ca-certificates.crt")
        (folder / "pip.conf").write_text(f"[global]\ncert = {CERTIFICATES}\n")
        (folder / "uv.toml").write_text("native-tls = true\n")
    if folder.name == "kafka":
        jars = Path(os.environ.get("HOMEOSTAT_KAFKA_JARS") or default_jar_folder())
        (folder / "jars").mkdir(exist_ok=True)
        for jar in ensure_jars(jars):
            shutil.copy(jar, folder / "jars")
    _done(engine, f"docker build --tag {name} {folder}")


def _done(engine: MachineEngine | DebianEngine, command: str) -> None:
    done = engine.run(command, timeout_s=1200)
    if done.returncode != 0:
        raise EngineError(f"{command}: {done.stderr.strip()[-2000:]}")
