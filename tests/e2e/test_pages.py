"""README, quickstart and "bring your own model", read from top to bottom: every command works where it stands.

They are read one after the other on one stack, whose supervisor is then killed. What replaces it is the encrypted stack of
docs/encryption.md, on which versions are taken back. Its end is the README's.

docs/fault-injection.md has a test of its own, so have the notebook and the replay of the flights; docs/containers.md needs an
engine that is not here, and tests/containers runs what its images hold. What else is not typed is in LEFT_OUT, with the reason.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from local_stack.observability.processes import NAMES
from local_stack.state import read_state
from local_stack.supervisor.lock import supervisor_pid
from shared.contracts.stack_state import StackState
from tests import local_http
from tests.e2e.short_loop import until
from tests.e2e.walking import Walker, of_the_demo, program, recipe, statements
from tests.fakes.grafana_server import TOKEN, FakeGrafana, grafana
from tests.waiting import bound

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
END = "homeostat down"
YEAR = "test_flights_loop.py types the block about a tenth of the year"
CONTAINERS = (
    "no Docker engine is at hand here; tests/containers runs the script, and what the images would run"
)
LEFT_OUT = {
    "README.md": {
        "make demo      # replay a real year of flights": YEAR,
        **dict.fromkeys(of_the_demo(), YEAR),
        "make test      # lint, types, import rules and every test": "this test is part of it",
        "deploy/containers/secrets.sh": CONTAINERS,
        "docker compose up --build --wait": CONTAINERS,
    },
    "docs/quickstart.md": {
        "make demo PART=0.1": YEAR,
        "make up": "the stack of the README still runs; what the target does is compared below",
        "homeostat approve RUN             # approve a run": "no run waits on a stack that has just begun",
        "homeostat rollback parcels        # serve the previous version again": (
            "there is one version; the test after it has two"
        ),
    },
    "docs/bring-your-own-model.md": {},
    "docs/encryption.md": {},
}


@pytest.fixture(scope="module")
def boards() -> Iterator[FakeGrafana]:
    with grafana() as running:
        yield running


@pytest.fixture(scope="module")
def walker(tmp_path_factory: pytest.TempPathFactory, boards: FakeGrafana) -> Iterator[Walker]:
    """Somebody in a clone, whose stack is ended also where a command fails."""
    missing = [name for name, programs in NAMES.items() if not any(map(shutil.which, programs))]
    if missing:
        lacking = f"{', '.join(missing)} is not installed; `make packages` does it"
        pytest.fail(lacking) if os.environ.get("CI") == "true" else pytest.skip(lacking)
    folder = tmp_path_factory.mktemp("pages") / "clone"
    someone = Walker(folder, elsewhere={3000: boards.port}, more={"HOMEOSTAT_GRAFANA_TOKEN": TOKEN})
    try:
        yield someone
    finally:
        someone.type(".venv/bin/homeostat down")


def to_type(page: str) -> list[str]:
    """The commands of a page without those that are left out."""
    left_out = LEFT_OUT[page]
    found = statements(page)
    assert set(left_out) <= set(found), "what is left out stands no longer on the page"
    return [statement for statement in found if statement not in left_out]


def state_of(walker: Walker) -> StackState:
    found = read_state(walker.folder / ".homeostat")
    assert found is not None
    return found


def test_the_readme_read_in_order_works(walker: Walker, boards: FakeGrafana) -> None:
    *before, last = to_type("README.md")
    assert last == END, "the last test types it"
    for statement in before:
        walker.type(statement)
    # The stack that watches is really there, and the boards arrived.
    assert {process.name for process in state_of(walker).processes} >= {"kafka", *NAMES}
    assert boards.boards
    assert not boards.violations


def test_the_quickstart_and_then_a_model_of_ones_own(walker: Walker) -> None:
    assert recipe("up") == ".venv/bin/homeostat up --detach", (
        "as the README starts it, and without what watches"
    )
    for statement in to_type("docs/quickstart.md"):
        walker.type(statement)
    assert json.loads(walker.type("homeostat releases parcels --json"))["releases"]
    page = "docs/bring-your-own-model.md"
    (walker.folder / "fit.py").write_text(program(page, "# fit.py"), encoding="utf-8")
    # What "trained elsewhere" stands for: a folder with a model, its metrics and its rows.
    *before, last = to_type(page)
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


ROW = {"service": "economy", "distance_km": 820, "weight_kg": None, "parcels_today": 431}


def said(walker: Walker, command: str, code: int = 0) -> Any:
    """The JSON of a command."""
    return json.loads(walker.type(f"homeostat {command} --json", code=code))


def ask(walker: Walker, path: str, body: object) -> httpx.Response:
    """Inference's answer, as long as it is one; 503 while a model is not loaded."""
    url = state_of(walker).urls["inference"].removesuffix("/status")
    answer = local_http.post(f"{url}{path}", json=body, timeout=bound(10))
    assert answer.status_code < 300 or answer.status_code == 503, answer.text
    return answer


def served(walker: Walker) -> int:
    """The generation that answers; 0 while the model is not loaded."""
    return int(ask(walker, "/predict", {"model": "parcels", "rows": [ROW]}).json().get("generation", 0))


def test_a_prediction_is_explained(walker: Walker) -> None:
    assert state_of(walker).processes[0].name == "kafka"
    assert said(walker, "status")["ready"]
    report = said(walker, "doctor")
    assert report["ok"], report
    checked = {finding["checked"] for finding in report["findings"]}
    assert {"broker", "topics", "inference", "drift", "retraining"} <= checked
    assert "already" in said(walker, "up --detach", code=3)["error"]

    body = json.dumps({"model": "parcels", "rows": [ROW]})
    curl = "curl -s localhost:8000/predict -H 'Content-Type: application/json' -d"
    answer = json.loads(walker.type(f"{curl} '{body}'"))
    assert answer["generation"] == 1
    prediction = answer["predictions"][0]["prediction_id"]
    assert ask(walker, "/outcomes", {"prediction_id": prediction, "value": 1}).json() == {"accepted": 1}
    chain = said(walker, f"why {prediction}")
    assert chain["version"]["version"] == answer["version"]
    assert chain["version"]["origin"]["kind"] == "deployment"
    assert said(walker, f"why {answer['version'][:12]}")["version"]["model"] == "parcels"
    assert said(walker, f"why {'f' * 12}", code=3)["exit_code"] == 3


def test_a_killed_supervisor_is_replaced_and_the_stack_encrypted(walker: Walker) -> None:
    home = walker.folder / ".homeostat"
    killed = state_of(walker)
    os.kill(killed.pid, signal.SIGKILL)
    until(lambda: supervisor_pid(home) is None, 10, "the supervisor is gone")
    assert served(walker) == 1, "serving goes on"
    assert not said(walker, "status", code=1)["supervised"]
    # A new start ends what was left and serves the same.
    for statement in to_type("docs/encryption.md"):
        walker.type(statement)
    assert not any(psutil.pid_exists(process.pid) for process in killed.processes)
    ours = {name: url for name, url in state_of(walker).urls.items() if name not in NAMES}
    assert len(ours) == 6
    assert {url.split(":")[0] for url in ours.values()} == {"https"}
    until(lambda: served(walker) == 1, 20, "it is served again")
    (walker.folder / "encrypted.py").write_text(
        program("docs/encryption.md", "# encrypted.py").replace("8000", str(walker.ports[8000])),
        encoding="utf-8",
    )
    assert "distance_km" in walker.type("python encrypted.py")
    # The console asks the others over TLS, too.
    console = ours["console"].rstrip("/")
    shown = walker.type(f"curl --silent --cacert .homeostat/tls/ca.pem {console}/")
    assert "parcels" in shown
    assert "certificate" not in shown


def test_versions_are_taken_back(walker: Walker) -> None:
    first = said(walker, "releases parcels")["releases"][0]["version"]
    path = walker.folder / "my-model" / "train.py"
    path.write_text(path.read_text().replace("RIDGE = 1e-3", "RIDGE = 1e-2"))
    second = said(walker, "deploy my-model --train my-model/train.parquet --holdout my-model/holdout.parquet")
    assert (second["model"], second["generation"], second["served"]) == ("parcels", 2, True)
    assert second["warnings"] == []
    assert second["version"] != first
    assert said(walker, "rollback parcels --reason 'the old one was better'")["generation"] == 3
    log = said(walker, "releases parcels")["releases"]
    assert [(release["generation"], release["version"]) for release in log] == [
        (3, first),
        (2, second["version"]),
        (1, first),
    ]
    until(lambda: served(walker) == 3, 20, "the old version is served again")


def test_the_end_of_the_readme_ends_every_process(walker: Walker) -> None:
    home = walker.folder / ".homeostat"
    running = state_of(walker)
    walker.type(END)
    assert not any(psutil.pid_exists(process.pid) for process in running.processes)
    assert not (home / "run" / "supervisor.json").exists()
    assert said(walker, "down") == {"ended": []}
