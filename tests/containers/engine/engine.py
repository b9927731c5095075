"""A real Docker Engine for the walk: the machine's own, or one started from Debian's packages.

The second runs inside one privileged podman container with its own network, ports, images and volumes: nothing of this
machine's network or other containers is touched, and all of it goes away with that container. It sees one folder of this machine.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from tests.waiting import bound

NAME = "homeostat-engine"
IMAGE = "localhost/homeostat-engine:trixie"
DEBIAN = "trixie"
INCLUDED = "ca-certificates,curl,docker-buildx,docker-cli,docker-compose,docker.io,iproute2,iptables,procps"
# What starting one takes on Debian; crun does not work where cgroups are mounted in version 1 or mixed.
PROGRAMS = {
    "debootstrap": "debootstrap",
    "podman": "podman",
    "runc": "runc",
    "/usr/lib/podman/netavark": "netavark",
}
PACKAGES = ("debootstrap", "podman", "runc", "iptables", "netavark", "aardvark-dns")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
START_S = 60.0


class EngineError(Exception):
    """No engine can be used or started here."""


class MachineEngine:
    """The machine's own engine."""

    is_own = False

    @staticmethod
    def responds() -> bool:
        """Whether `docker compose` is installed and the engine answers."""
        if shutil.which("docker") is None:
            return False
        asked = (["docker", "version", "--format", "{{.Server.Version}}"], ["docker", "compose", "version"])
        return all(
            subprocess.run(one, capture_output=True, timeout=bound(30)).returncode == 0 for one in asked
        )

    def run(
        self,
        command: str,
        folder: Path | None = None,
        *,
        timeout_s: float = 600.0,
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a bash command in a folder, with access to the engine and to the ports that it publishes."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=folder,
            env={**os.environ, **(variables or {})},
            capture_output=True,
            text=True,
            timeout=bound(timeout_s),
        )


class DebianEngine:
    """An engine of Debian's packages in a podman container. It works below `work`, which it sees under the same path."""

    is_own = True

    def __init__(self, work: Path) -> None:
        self._work = work

    def start(self) -> None:
        """Make the container where it is missing, start it, wait until it answers. Raises EngineError."""
        missing = [name for name in PROGRAMS if shutil.which(name) is None]
        if os.geteuid() != 0 or missing:
            raise EngineError(
                f"no Docker Engine answers, and this user cannot start one (missing: {', '.join(missing) or 'root'}); "
                f"start Docker, or as root: apt-get install --yes {' '.join(PACKAGES)}"
            )
        self._work.mkdir(parents=True, exist_ok=True)
        limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 1 << 20)
        self._configuration.write_text(
            f'[containers]\ndefault_ulimits = ["nofile={limit}:{limit}"]\n[network]\nnetwork_backend = "netavark"\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nruntime = "runc"\n'
        )
        if self._podman("container", "exists", NAME).returncode != 0:
            self._make_image()
            data = self._work / "engine-data"
            data.mkdir(exist_ok=True)
            volumes = [f"--volume={self._work}:{self._work}", f"--volume={data}:/var/lib/docker"]
            options = ["--privileged", "--cgroupns=private", "--network=bridge", "--init=false", *volumes]
            daemon = ["dockerd", "--host=unix:///var/run/docker.sock", "--storage-driver=overlay2"]
            self._checked("create", "--name", NAME, *options, IMAGE, *daemon)
        self._checked("start", NAME)
        ends = time.monotonic() + bound(START_S)
        while self._podman("exec", NAME, "docker", "version").returncode != 0:
            if time.monotonic() > ends:
                raise EngineError(
                    f"the engine does not answer: {self._podman('logs', '--tail=20', NAME).stderr}"
                )
            time.sleep(1)

    def run(
        self,
        command: str,
        folder: Path | None = None,
        *,
        timeout_s: float = 600.0,
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a bash command beside the engine, in a folder below `work`."""
        given = [f"--env={name}={value}" for name, value in (variables or {}).items()]
        shell = ["bash", "-euo", "pipefail", "-c", command]
        return self._podman(
            "exec", *given, f"--workdir={folder or self._work}", NAME, *shell, timeout_s=timeout_s
        )

    def restart(self) -> None:
        """The machine goes down and comes up again: the engine and all that it runs are stopped, images and volumes stay."""
        self._checked("stop", "--time=60", NAME)
        self.start()

    def remove(self) -> None:
        """Remove the container, and its images and volumes."""
        self._podman("rm", "--force", "--time=60", NAME)
        self._podman("image", "rm", "--force", IMAGE)
        shutil.rmtree(self._work, ignore_errors=True)

    def _make_image(self) -> None:
        if self._podman("image", "exists", IMAGE).returncode == 0:
            return
        root = self._work / "engine-root"
        debootstrap(DEBIAN, INCLUDED, root)
        packed = self._work / "engine-root.tar"
        subprocess.run(["tar", "-C", root, "-cf", packed, "."], check=True)
        self._checked("import", str(packed), IMAGE)
        packed.unlink()
        shutil.rmtree(root)

    @property
    def _configuration(self) -> Path:
        return self._work / "containers.conf"

    def _podman(self, *arguments: str, timeout_s: float = 600.0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["nice", "-n", "10", "podman", *arguments],
            env={**os.environ, "CONTAINERS_CONF": str(self._configuration)},
            capture_output=True,
            text=True,
            timeout=bound(timeout_s),
        )

    def _checked(self, *arguments: str) -> None:
        done = self._podman(*arguments)
        if done.returncode != 0:
            raise EngineError(f"podman {arguments[0]}: {done.stderr.strip()[-1000:]}")


def debootstrap(release: str, included: str, root: Path) -> None:
    """Debian's minimal root with some packages, and this machine's certificates. Raises EngineError."""
    shutil.rmtree(root, ignore_errors=True)
    mirror = _mirror()
    done = subprocess.run(
        [
            "nice",
            "-n",
            "10",
            "debootstrap",
            "--variant=minbase",
            f"--include={included}",
            release,
            root,
            mirror,
        ],
        capture_output=True,
        text=True,
        timeout=bound(900),
    )
    if done.returncode != 0:
        raise EngineError(f"debootstrap {release}: {done.stdout.strip()[-1000:]}")
    shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
    for pattern in ("var/cache/apt/archives/*.deb", "var/lib/apt/lists/*"):
        for path in root.glob(pattern):
            path.unlink() if path.is_file() else shutil.rmtree(path)


def _mirror() -> str:
    """The mirror that this machine's apt uses; Debian's own where that cannot be read."""
    for file in (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list")):
        for line in file.read_text().splitlines() if file.is_file() else ():
            words = line.split()
            if words[:1] in (["URIs:"], ["deb"]):
                return words[1]
    return "http://deb.debian.org/debian"
