"""The local stack: its processes, their order, and what they find in their environment."""

from __future__ import annotations

import sys
from pathlib import Path

from local_stack.settings import LocalStackSettings
from local_stack.supervisor.process_specs import SOURCES, environment, services, urls
from local_stack.supervisor.restart_policy import stop_order


def settings(tmp_path: Path) -> LocalStackSettings:
    return LocalStackSettings().model_copy(
        update={
            "home": tmp_path,
            "broker_port": 19092,
            "inference_port": 18000,
            "sink_port": 18004,
            "host": "127.0.0.2",
        }
    )


def test_processes_stop_in_order_of_data_flow(tmp_path: Path) -> None:
    names = [spec.name for spec in services(settings(tmp_path))]
    assert stop_order(names) == ["inference", "shipper", "sink", "drift", "retraining", "console"]


def test_only_inference_starts_without_a_broker(tmp_path: Path) -> None:
    core = [spec for spec in services(settings(tmp_path)) if spec.is_core]
    assert [spec.name for spec in core if not spec.needs_broker] == ["inference"]


def test_console_is_not_a_core_process(tmp_path: Path) -> None:
    [console] = [spec for spec in services(settings(tmp_path)) if not spec.is_core]
    assert (console.name, console.needs_broker) == ("console", False)


def test_environment_names_folders_and_ports(tmp_path: Path) -> None:
    found = environment(
        settings(tmp_path), {"HOMEOSTAT_HOME": "elsewhere", "KEPT": "yes", "PATH": "some/bin"}
    )
    assert found["HOMEOSTAT_HOME"] == str(tmp_path)
    assert found["HOMEOSTAT_KAFKA"] == "127.0.0.2:19092"
    assert found["HOMEOSTAT_SINK_PORT"] == "18004"
    assert found["HOMEOSTAT_SINK_HOST"] == "127.0.0.2"
    assert found["KEPT"] == "yes"
    for spec in services(settings(tmp_path)):
        assert found[spec.setting] == str(spec.port)


def test_training_command_uses_this_python(tmp_path: Path) -> None:
    assert (
        environment(settings(tmp_path), {"PATH": "some/bin"})["PATH"]
        == f"{Path(sys.executable).parent}:some/bin"
    )


def test_telemetry_is_off(tmp_path: Path) -> None:
    found = environment(settings(tmp_path), {})
    assert (found["BENTOML_DO_NOT_TRACK"], found["DO_NOT_TRACK"], found["MLFLOW_DISABLE_TELEMETRY"]) == (
        "True",
        "1",
        "true",
    )


def test_retraining_allocates_as_its_image_and_its_unit(tmp_path: Path) -> None:
    """The memory of a snapshot was measured with these variables."""
    [found] = [spec.environment for spec in services(settings(tmp_path)) if spec.environment]
    assert found == {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}
    text = " ".join(f"{name}={value}" for name, value in found.items())
    for file in ("Dockerfile", "deploy/systemd/homeostat-retraining.service"):
        assert text in (SOURCES / file).read_text(), file


def test_services_are_found_from_any_folder(tmp_path: Path) -> None:
    assert environment(settings(tmp_path), {"PYTHONPATH": "mine"})["PYTHONPATH"] == f"{SOURCES}:mine"
    assert (SOURCES / "services").is_dir()


def test_links_contain_the_ports(tmp_path: Path) -> None:
    assert urls(settings(tmp_path))["inference"] == "http://127.0.0.2:18000/status"
    assert next(iter(urls(settings(tmp_path)).items())) == ("console", "http://127.0.0.2:8005/")
