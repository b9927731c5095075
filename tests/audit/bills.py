"""A software bill of materials (CycloneDX) for each image, from its lock: names, versions, hashes, and licences where known."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "locks"
FOLDER = ROOT / "build" / "sbom"
IMAGES = (
    "inference",
    "inference_cpu",
    "prediction_log",
    "drift",
    "retraining",
    "retraining_dask",
    "retraining_kubernetes",
    "training_scikit_learn",
    "mlflow",
    "console",
    "cli",
)
_LONGEST = 100  # some packages hold the text of their licence there
_CLASSIFIER = "License :: OSI Approved :: "


def write_bill(image: str, folder: Path = FOLDER, *, validate: bool = False) -> int:
    """Write `<image>.cdx.json`; returns the number of packages. Raises CalledProcessError where the lock cannot be read."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{image}.cdx.json"
    command = [
        sys.executable,
        "-m",
        "cyclonedx_py",
        "requirements",
        str(LOCKS / f"{image}.txt"),
        "--output-reproducible",
    ]
    command += [
        "--validate" if validate else "--no-validate",
        "--output-format",
        "JSON",
        "--output-file",
        str(file),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    document = json.loads(file.read_bytes())
    for component in document["components"]:
        component.pop("description", None)  # the line of the lock
        for reference in component.get("externalReferences", ()):
            reference["url"] = component["purl"]  # no host: packages come from whichever index is configured
        if licences := licences_of(component["name"], component["version"]):
            component["licenses"] = licences
    file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return len(document["components"])


def licences_of(name: str, version: str) -> list[dict[str, Any]]:
    """What the installed package of this version declares, in the terms of CycloneDX; empty if nothing is known."""
    try:
        declared = metadata(name).json
    except PackageNotFoundError:
        return []
    if declared["version"] != version:
        return []
    if expression := declared.get("license_expression"):
        return [{"expression": expression}]
    classified = [
        value.removeprefix(_CLASSIFIER)
        for value in declared.get("classifier") or ()
        if value.startswith(_CLASSIFIER)
    ]
    short = str(declared.get("license") or "").strip()
    names = classified or ([short] if 0 < len(short) <= _LONGEST and "\n" not in short else [])
    return [{"license": {"name": one}} for one in names]
