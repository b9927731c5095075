"""The composition, run: each part as compose.yaml and the Dockerfile say, in a sandbox, on ports that are free."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from deploy.containers.keys import API_KEYS, PASSWORD
from local_stack.ports import free_port
from shared.access.api_key import make_key
from tests.containers.composition import ROOT, is_ours
from tests.containers.dockerfile import Image, image
from tests.containers.images import environment_of, lay_out
from tests.containers.sandbox import Mount, Process, Sandbox, python_mounts

# The setting of each service's port: the machine is shared, so that no service can have its default port here.
PORT_SETTINGS = {
    "inference": "HOMEOSTAT_INFERENCE_PORT",
    "shipper": "HOMEOSTAT_SHIPPER_PORT",
    "sink": "HOMEOSTAT_SINK_PORT",
    "drift": "HOMEOSTAT_DRIFT_PORT",
    "retraining": "HOMEOSTAT_RETRAINING_PORT",
    "console": "HOMEOSTAT_CONSOLE_PORT",
}


class Project:
    """Runs services of one composition below `folder`. `elsewhere` are addresses of what runs outside, by name and port."""

    def __init__(self, composition: Mapping[str, Any], folder: Path, elsewhere: Mapping[str, str]) -> None:
        self._services = composition["services"]
        self._folder = folder
        self._addresses = dict(elsewhere)
        for name, service in self._services.items():
            for published in service.get("ports", ()):
                inner = published.rsplit(":", 1)[1]
                self._addresses.setdefault(f"{name}:{inner}", f"127.0.0.1:{free_port()}")
        self._running: dict[str, Process] = {}

    def port(self, name: str) -> int:
        """Where a part listens here."""
        found = next(at for place, at in self._addresses.items() if place.startswith(f"{name}:"))
        return int(found.rsplit(":", 1)[1])

    def url(self, name: str) -> str:
        """Base address of a part."""
        return f"http://127.0.0.1:{self.port(name)}"

    def image_of(self, name: str) -> Image:
        """The image of a part."""
        build = self._services[name]["build"]
        return image(build["target"], build["args"])

    def volume(self, name: str) -> Path:
        """Where a named volume's files are here."""
        folder = self._folder / "volumes" / name
        if not folder.exists():
            folder.mkdir(parents=True)
            folder.chmod(0o777)
        return folder

    def secret(self, name: str, text: str) -> None:
        """Put a secret where the composition's file would be."""
        file = self._folder / "secrets" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def api_keys(self) -> None:
        """Put the API keys and the monitoring's password there that deploy/containers/secrets.sh would make."""
        self.secret(PASSWORD.name, token_urlsafe(24))
        for name, scopes in API_KEYS.items():
            self.secret(f"{name}_key", make_key(name, scopes, datetime.now(UTC))[1])

    def headers(self, name: str = "admin") -> dict[str, str]:
        """The headers of a request with one of these keys."""
        return {"Authorization": f"Bearer {(self._folder / 'secrets' / f'{name}_key').read_text().strip()}"}

    def sandbox(self, name: str) -> Sandbox:
        """The sandbox of a part: its image, its volumes, its variables."""
        service = self._services[name]
        assert is_ours(service), f"{name} is not an image of ours"
        built = self.image_of(name)
        environment = {**built.environment, **service.get("environment", {})}
        environment = {key: self._moved(name, str(value)) for key, value in environment.items()}
        if name in PORT_SETTINGS:
            environment[PORT_SETTINGS[name]] = str(self.port(name))
        place = self._folder / "sandboxes" / name
        place.mkdir(parents=True, exist_ok=True)
        return Sandbox(
            mounts=[*python_mounts(), *self._files(built), *self._volumes(service), *self._secrets(service)],
            temporary=service.get("tmpfs", ()),
            environment=environment,
            folder=built.folder,
            user=int(str(service["user"]).split(":")[0]),
            place=place,
            log=self._folder / f"{name}.log",
        )

    def command(self, name: str) -> list[str]:
        """What the part runs."""
        service = self._services[name]
        given = service.get("command") or self.image_of(name).command
        return [self._moved(name, word) for word in (*service.get("entrypoint", ()), *given)]

    def probe(self, name: str) -> list[str]:
        """What its health check runs."""
        check = self._services[name].get("healthcheck", {}).get("test")
        return [self._moved(name, word) for word in (check[1:] if check else self.image_of(name).healthcheck)]

    def start(self, name: str) -> Process:
        """Start a part and leave it running."""
        self._running[name] = self.sandbox(name).start(self.command(name))
        return self._running[name]

    def run(self, name: str, arguments: Sequence[str] = (), *, timeout_s: float = 60.0) -> str:
        """Run a one-shot to its end, `arguments` in place of its command; what it said. AssertionError where it fails."""
        service = self._services[name]
        command = [*service.get("entrypoint", ()), *arguments] if arguments else self.command(name)
        done = self.sandbox(name).run(command, timeout_s=timeout_s)
        assert done.returncode == 0, (
            f"{name} ended with {done.returncode}: {done.stdout[-1500:]}{done.stderr[-3000:]}"
        )
        return done.stdout

    def is_healthy(self, name: str) -> bool:
        """What its health check says now. AssertionError where the part has ended."""
        process = self._running[name]
        assert process.exit_status is None, f"{name} ended with {process.exit_status}: {process.said()}"
        return self.sandbox(name).run(self.probe(name)).returncode == 0

    def process(self, name: str) -> Process:
        """A part that was started."""
        return self._running[name]

    def kill(self) -> None:
        """End whatever runs."""
        for process in self._running.values():
            process.kill()

    def _moved(self, name: str, text: str) -> str:
        """A text of the composition with the addresses of this machine in it."""
        for place, at in self._addresses.items():
            text = re.sub(rf"(?<![\w.-]){re.escape(place)}(?!\d)", at, text)
            if place.startswith(f"{name}:"):
                inner, outer = place.rsplit(":", 1)[1], at.rsplit(":", 1)[1]
                text = text.replace(f"127.0.0.1:{inner}", at).replace(f"--port={inner}", f"--port={outer}")
        return text.replace("0.0.0.0", "127.0.0.1")

    def _files(self, built: Image) -> list[Mount]:
        lock = built.labels["com.homeostat.lock"].removeprefix("locks/").removesuffix(".txt")
        root = self._folder / "images" / "-".join(built.stages)
        if not root.exists():
            lay_out(built, root)
        mounts = [Mount(environment_of(lock), "/opt/homeostat", True)]
        return [*mounts, *(Mount(path, f"/{path.name}", True) for path in root.iterdir())]

    def _volumes(self, service: Mapping[str, Any]) -> list[Mount]:
        mounts = []
        for text in service.get("volumes", ()):
            source, target, *mode = text.split(":")
            path = (ROOT / source) if source.startswith("./") else self.volume(source)
            mounts.append(Mount(path, target, "ro" in mode))
        return mounts

    def _secrets(self, service: Mapping[str, Any]) -> list[Mount]:
        return [
            Mount(self._folder / "secrets" / name, f"/run/secrets/{name}", True)
            for name in service.get("secrets", ())
        ]
