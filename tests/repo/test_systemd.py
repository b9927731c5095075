"""The systemd units: valid for systemd, with the commands of the images, settings that exist, and the same hardening."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from docs.reference.settings import all_settings
from tests.containers.dockerfile import image
from tests.repo.tracked import ROOT
from tests.waiting import bound

FOLDER = ROOT / "deploy" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
SERVICES = {"inference", "shipper", "sink", "drift", "retraining", "console"}
PYTHON = "/opt/homeostat/.venv/bin/python"
# Different for a reason that the unit names.
OWN = {"PrivateDevices", "RestrictNamespaces"}
# What `systemd-analyze security` may give at most; 10 is the worst.
EXPOSURE = 4.0


def lines(unit: Path) -> list[tuple[str, str]]:
    pairs = (line.split("=", 1) for line in unit.read_text().splitlines() if re.match(r"[A-Z]\w+=", line))
    return [(name, value) for name, value in pairs]


def service_of(unit: Path) -> str:
    return unit.stem.removeprefix("homeostat-")


@pytest.fixture(scope="module")
def analyze() -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    return program


def test_every_service_has_a_unit() -> None:
    assert {service_of(unit) for unit in UNITS} == SERVICES


@pytest.mark.parametrize("unit", UNITS, ids=service_of)
def test_unit_runs_the_command_of_the_image(unit: Path) -> None:
    command = image("service", {"SERVICE": service_of(unit)}).command
    assert dict(lines(unit))["ExecStart"].split() == [PYTHON, *command[1:]]


@pytest.mark.parametrize("unit", UNITS, ids=service_of)
def test_hardening_is_that_of_every_unit(unit: Path) -> None:
    def hardening(one: Path) -> list[tuple[str, str]]:
        found = lines(one)
        start, end = found.index(("NoNewPrivileges", "yes")), found.index(("UMask", "0077"))
        return [pair for pair in found[start : end + 1] if pair[0] not in OWN]

    assert hardening(unit) == hardening(UNITS[0])
    found = lines(unit)
    for needed in (
        ("ProtectSystem", "strict"),
        ("CapabilityBoundingSet", ""),
        ("User", "homeostat"),
        ("Restart", "always"),
        ("KillMode", "mixed"),
        ("PartOf", "homeostat.target"),
    ):
        assert needed in found


@pytest.mark.parametrize("unit", UNITS, ids=service_of)
def test_settings_and_credentials_exist(unit: Path) -> None:
    found = lines(unit)
    credentials = [value.split(":")[0] for name, value in found if name == "LoadCredential"]
    set_here = [
        value.split("=", 1)
        for name, value in found
        if name == "Environment" and value.startswith("HOMEOSTAT_")  # others are of libraries
    ]
    names = {setting.variable for setting in all_settings()}
    assert {name for name, _ in set_here} <= names
    assert {value for _, value in set_here} <= {f"%d/{credential}" for credential in credentials}
    assert len({value for _, value in set_here}) == len(credentials)


def test_settings_of_the_environment_file_exist() -> None:
    text = (FOLDER / "homeostat.env").read_text()
    named = re.findall(r"^([A-Z_]+)=", text, re.MULTILINE)
    assert len(named) > 5
    assert set(named) <= {setting.variable for setting in all_settings()}


def test_systemd_accepts_every_unit(tmp_path: Path, analyze: str) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    names = []
    for unit in [*UNITS, FOLDER / "homeostat.target"]:
        copied = tmp_path / unit.name
        copied.write_text(unit.read_text().replace(PYTHON, str(python)))
        names.append(copied)
    done = subprocess.run(
        [analyze, "verify", "--man=no", *names],
        capture_output=True,
        text=True,
        timeout=bound(60),
        check=False,
    )
    about = [line for line in done.stderr.splitlines() if "homeostat" in line]
    assert (about, done.returncode) == ([], 0)


@pytest.mark.parametrize("unit", UNITS, ids=service_of)
def test_systemd_rates_the_hardening(unit: Path, analyze: str) -> None:
    done = subprocess.run(
        [analyze, "security", "--offline=yes", f"--threshold={int(10 * EXPOSURE)}", unit],
        capture_output=True,
        text=True,
        timeout=bound(60),
        check=False,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
