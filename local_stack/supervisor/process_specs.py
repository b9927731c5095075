"""The processes of the local stack: command, port and readiness route of each."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shared.access.installation_keys import CONSOLE, key_path
from shared.access.key_file import key_file_path
from shared.access.loopback import is_loopback
from shared.contracts.stack_state import state_path
from shared.tls.client_environment import listener_scheme, with_absolute_paths

if TYPE_CHECKING:
    from local_stack.settings import LocalStackSettings

BROKER = "kafka"
QUIET = {"BENTOML_DO_NOT_TRACK": "True", "DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
# Of retraining: Arrow's own allocator, and one for each thread, keep the memory that they once had. See loadtests/README.md.
ALLOCATOR = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}
SOURCES = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class ProcessSpec:
    """One process: its `name`, `command`, its `port` and the `setting` of the port, and its `ready_path`.

    `needs_broker`: it is started once the topics exist. Inference does not need the broker.
    `is_core` is False for processes that only observe: no other process waits for them. `scheme` is that of its port.
    `environment`: variables of it alone; those of the stack override them.
    """

    name: str
    command: tuple[str, ...]
    port: int
    setting: str
    ready_path: str
    needs_broker: bool = True
    is_core: bool = True
    scheme: str = "http"
    environment: Mapping[str, str] = field(default_factory=dict)


def services(settings: LocalStackSettings) -> list[ProcessSpec]:
    """The services in start order. They are stopped in reverse order, which follows the data: inference first."""
    python = sys.executable
    bentoml = (
        *(python, "-m", "bentoml", "serve", "services.inference.service:InferenceService"),
        *("--host", settings.host, "--port", str(settings.inference_port)),
    )
    specs = [
        # Started first and stopped last, so that it shows the others.
        ProcessSpec(
            "console",
            (python, "-m", "services.console"),
            settings.console_port,
            "HOMEOSTAT_CONSOLE_PORT",
            "/health/live",
            needs_broker=False,
            is_core=False,
        ),
        ProcessSpec(
            "retraining",
            (python, "-m", "services.retraining"),
            settings.retraining_port,
            "HOMEOSTAT_RETRAINING_PORT",
            "/health/ready",
            environment=ALLOCATOR,
        ),
        ProcessSpec(
            "drift",
            (python, "-m", "services.drift"),
            settings.drift_port,
            "HOMEOSTAT_DRIFT_PORT",
            "/health/ready",
        ),
        ProcessSpec(
            "sink",
            (python, "-m", "services.prediction_log", "sink"),
            settings.sink_port,
            "HOMEOSTAT_SINK_PORT",
            "/health/live",
        ),
        ProcessSpec(
            "shipper",
            (python, "-m", "services.prediction_log", "shipper"),
            settings.shipper_port,
            "HOMEOSTAT_SHIPPER_PORT",
            "/health/live",
        ),
        ProcessSpec(
            "inference",
            bentoml,
            settings.inference_port,
            "HOMEOSTAT_INFERENCE_PORT",
            "/v2/health/live",
            needs_broker=False,
        ),
    ]
    scheme = listener_scheme()
    return [replace(spec, scheme=scheme) for spec in specs]


def environment(settings: LocalStackSettings, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of every service: folders and ports of this stack, and telemetry switched off."""
    home = settings.home.absolute()
    found = inherited.get("PYTHONPATH")
    return {
        **with_absolute_paths(inherited),
        **QUIET,
        "HOMEOSTAT_HOME": str(home),
        "HOMEOSTAT_KAFKA": f"{settings.host}:{settings.broker_port}",
        # This stack's own broker, whatever the settings say of another one.
        "HOMEOSTAT_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "HOMEOSTAT_MODEL_STORE": settings.model_store,
        "HOMEOSTAT_LAKE": settings.lake,
        "HOMEOSTAT_REPORTS": settings.reports,
        "HOMEOSTAT_API_KEYS": str(key_file_path(settings)),
        # The console sends a key, retraining to inference, and drift to retraining. One that a person has exported is not for it.
        "HOMEOSTAT_API_KEY": "",
        "HOMEOSTAT_API_KEY_FILE": str(key_path(home, CONSOLE)),
        # Only the default: `false` requires keys on this machine as well. What acts needs one in any case.
        "HOMEOSTAT_ANONYMOUS_ACCESS": inherited.get("HOMEOSTAT_ANONYMOUS_ACCESS")
        or str(is_loopback(settings.host)).lower(),
        "HOMEOSTAT_HOST": settings.host,
        **{
            f"HOMEOSTAT_{name}_HOST": settings.host
            for name in ("INFERENCE", "SHIPPER", "DRIFT", "RETRAINING", "SINK", "CONSOLE")
        },
        "HOMEOSTAT_INFERENCE_PORT": str(settings.inference_port),
        "HOMEOSTAT_SHIPPER_PORT": str(settings.shipper_port),
        "HOMEOSTAT_DRIFT_PORT": str(settings.drift_port),
        "HOMEOSTAT_RETRAINING_PORT": str(settings.retraining_port),
        "HOMEOSTAT_RETRAINING_INFERENCE_URLS": f"{listener_scheme()}://{settings.host}:{settings.inference_port}",
        "HOMEOSTAT_DRIFT_RETRAINING_URL": f"{listener_scheme()}://{settings.host}:{settings.retraining_port}",
        "HOMEOSTAT_SINK_PORT": str(settings.sink_port),
        "HOMEOSTAT_CONSOLE_PORT": str(settings.console_port),
        "HOMEOSTAT_CONSOLE_STACK_STATE": str(state_path(home)),
        "BENTOML_HOME": str(home / "run" / "bentoml"),
        "PYTHONPATH": f"{SOURCES}:{found}" if found else str(SOURCES),
        "PYTHONUNBUFFERED": "1",
        # `python` in a training command is this Python, also if its virtual environment is not activated.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", "")]),
    }


def urls(settings: LocalStackSettings) -> dict[str, str]:
    """URLs of the status pages by process."""
    base = f"{listener_scheme()}://{settings.host}"
    return {
        "console": f"{base}:{settings.console_port}/",
        "inference": f"{base}:{settings.inference_port}/status",
        "drift": f"{base}:{settings.drift_port}/status",
        "retraining": f"{base}:{settings.retraining_port}/status",
        "shipper": f"{base}:{settings.shipper_port}/status",
        "sink": f"{base}:{settings.sink_port}/status",
    }
