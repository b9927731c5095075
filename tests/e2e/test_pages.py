"""README, quickstart and "bring your own model", read from top to bottom: every command works where it stands.

docs/fault-injection.md has a test of its own, so has the notebook; docs/containers.md needs an engine that is not here, and
tests/containers runs what its images hold. What else is not typed is named in LEFT_OUT, with the reason.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.observability.processes import NAMES
from tests.e2e.walking import Walker, program, statements
from tests.fakes.grafana_server import TOKEN, FakeGrafana, grafana

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
YEAR = (
    "test_flights_loop.py replays a tenth of the year; here a hundredth shows that the commands fit together"
)
CONTAINERS = (
    "no Docker engine is at hand here; tests/containers runs the script, and what the images would run"
)
LEFT_OUT = {
    "README.md": {
        "make demo      # replay a real year of flights": YEAR,
        "make test      # lint, types, import rules and every test": "this test is part of it",
        "deploy/containers/secrets.sh": CONTAINERS,
        "docker compose up --build --wait": CONTAINERS,
    },
    "docs/quickstart.md": {
        "make demo PART=0.1": YEAR,
        "homeostat approve RUN             # approve a run": "no run waits on a stack that has just begun",
        "homeostat rollback parcels        # serve the previous version again": (
            "there is one version; test_first_hour.py has two"
        ),
    },
    "docs/bring-your-own-model.md": {},
    "docs/encryption.md": {},
}
INSTEAD = {"--part 0.1": "--part 0.01"}


@pytest.fixture
def boards() -> Iterator[FakeGrafana]:
    with grafana() as running:
        yield running


@pytest.fixture
def walker(tmp_path: Path, boards: FakeGrafana) -> Iterator[Walker]:
    missing = [name for name, programs in NAMES.items() if not any(map(shutil.which, programs))]
    if missing:
        said = f"{', '.join(missing)} is not installed; `make packages` does it"
        pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)
    someone = Walker(
        tmp_path / "clone", elsewhere={3000: boards.port}, more={"HOMEOSTAT_GRAFANA_TOKEN": TOKEN}
    )
    try:
        yield someone
    finally:
        for home in ("", " --home .homeostat/flights"):
            someone.type(f".venv/bin/homeostat down{home}")


def walk(walker: Walker, page: str) -> None:
    left_out = LEFT_OUT[page]
    found = statements(page)
    assert set(left_out) <= set(found), "what is left out stands no longer on the page"
    for statement in found:
        if statement not in left_out:
            for shown, typed in INSTEAD.items():
                statement = statement.replace(shown, typed)
            walker.type(statement)


def test_the_encrypted_stack_works_as_without(walker: Walker) -> None:
    page = "docs/encryption.md"
    walk(walker, page)
    state = json.loads((walker.folder / ".homeostat" / "run" / "supervisor.json").read_bytes())
    ours = {name: url for name, url in state["urls"].items() if name not in NAMES}
    assert len(ours) == 6
    assert {url.split(":")[0] for url in ours.values()} == {"https"}
    for statement in statements("docs/quickstart.md"):
        if statement.startswith(("homeostat init", "(cd my-model", "homeostat deploy")):
            walker.type(statement)
    (walker.folder / "encrypted.py").write_text(
        program(page, "# encrypted.py").replace("8000", str(walker.ports[8000])), encoding="utf-8"
    )
    assert "distance_km" in walker.type("python encrypted.py")
    assert json.loads(walker.type("homeostat releases parcels --json"))["releases"]
    # The console asks the others over TLS, too.
    console = ours["console"].rstrip("/")
    shown = walker.type(f"curl --silent --cacert .homeostat/tls/ca.pem {console}/")
    assert "parcels" in shown
    assert "certificate" not in shown


def test_the_readme_read_in_order_works(walker: Walker, boards: FakeGrafana) -> None:
    walk(walker, "README.md")
    # The stack that watches was really there, and the boards arrived; the end leaves nothing running.
    assert boards.boards
    assert not boards.violations
    assert not (walker.folder / ".homeostat" / "run" / "supervisor.json").exists()
    assert [one for one in walker.typed if one.startswith("homeostat why")]


def test_the_quickstart_and_then_a_model_of_ones_own(walker: Walker) -> None:
    walk(walker, "docs/quickstart.md")
    assert json.loads(walker.type("homeostat releases parcels --json"))["releases"]
    page = "docs/bring-your-own-model.md"
    (walker.folder / "fit.py").write_text(program(page, "# fit.py"), encoding="utf-8")
    # What "trained elsewhere" stands for: a folder with a model, its metrics and its rows.
    *before, last = statements(page)
    assert last == "homeostat deploy fraud --artifact trained-elsewhere"
    for statement in before:
        walker.type(statement)
    elsewhere = walker.folder / "trained-elsewhere"
    elsewhere.mkdir()
    [version] = (walker.folder / ".homeostat" / "models").glob("fraud/**/model.onnx")
    for name in ("model.onnx", "reference.parquet"):
        shutil.copy(version.parent / name, elsewhere / name)
    (elsewhere / "metrics.json").write_text('{"log_loss": 0.41}')
    walker.type(last)
    releases = json.loads(walker.type("homeostat releases fraud --json"))["releases"]
    assert [one["generation"] for one in releases] == [2, 1]
    # The model from its pickle is the version that fit.py exported, so one release is enough.
    releases = json.loads(walker.type("homeostat releases late --json"))["releases"]
    assert [one["generation"] for one in releases] == [1]
