"""docs/fault-injection.md, command by command, on the real stack: each ends as the page says, and nothing answered is lost."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from local_stack.state import read_state
from services.retraining.run_states import WORKING
from shared.contracts.stack_state import ProcessState, StackState
from shared.stores.lake import Lake
from tests import local_http
from tests.waiting import bound, time_factor

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "fault-injection.md").read_text(encoding="utf-8")


def section(title: str) -> list[list[str]]:
    """The commands of a section of the page, in order."""
    text = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines() if line]


def shortened(words: list[str]) -> list[str]:
    """The same command, done sooner: rows come faster, an outage lasts half as long."""
    if words[1] == "inject" and words[2] in ("traffic", "drift", "concept-drift", "fault", "bad-challenger"):
        return [*words, "--rate", "1000"]
    return ["5s" if word == "10s" else word for word in words]


class Reader:
    """Types the page's commands, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HOMEOSTAT_")},
            "PYTHONPATH": str(ROOT),
            # Nothing here reads MLflow, which takes retraining three CPU seconds.
            "HOMEOSTAT_RETRAINING_MLFLOW": "false",
        }

    @property
    def home(self) -> Path:
        return self.folder / self.environment.get("HOMEOSTAT_HOME", ".homeostat")

    def export(self, words: list[str]) -> None:
        name, _, value = words[1].partition("=")
        self.environment[name] = value

    def start(self, words: list[str]) -> subprocess.Popen[str]:
        assert words[0] == "homeostat", words
        more = ["--free-ports"] if words[1] == "up" else []
        return subprocess.Popen(
            [sys.executable, "-m", "cli", *words[1:], *more, "--json"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, process: subprocess.Popen[str], within_s: float = 200.0) -> Any:
        out, err = process.communicate(timeout=bound(within_s))
        assert process.returncode == 0, f"{process.args!r}: {process.returncode}\n{out}\n{err}"
        return json.loads(out)

    def run(self, *words: str) -> Any:
        return self.finish(self.start(["homeostat", *words]))

    def state(self) -> StackState:
        found = read_state(self.home)
        assert found is not None
        return found

    def part(self, name: str) -> ProcessState:
        return next(process for process in self.state().processes if process.name == name)

    def logged(self) -> list[str]:
        """Ids of all rows in the lake."""
        lake = Lake(str(self.home / "lake"))
        table = lake.open(lake.predictions("parcels"))
        assert table is not None
        rows = table.to_pyarrow_dataset().to_table(columns=["prediction_id"])
        return [str(one) for one in rows["prediction_id"].to_pylist()]

    def ask(self, service: str, path: str) -> Any:
        port = self.state().ports[service]
        return local_http.get(f"http://127.0.0.1:{port}{path}", timeout=bound(10)).json()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """The first section, done: a stack with a model to inject faults into."""
    someone = Reader(tmp_path_factory.mktemp("injection"))
    try:
        for words in section("A model to practise with"):
            if words[0] == "(cd":
                project = someone.folder / words[1]
                subprocess.run([sys.executable, "make_data.py"], cwd=project, check=True, timeout=bound(60))
            elif words[0] == "export":
                someone.export(words)
            else:
                someone.finish(someone.start(words))
        yield someone
    finally:
        someone.finish(someone.start(["homeostat", "down"]))


def deploy_another(reader: Reader, model: str, **replaced: str) -> tuple[str, str]:
    """Deploy a model with no rows of other faults, which its runs would learn; returns the option that names it.

    `replaced`: rollout of its loop.yaml, if it is another than the template's.
    """
    reader.run("init", model, "--model", model)
    folder = reader.folder / model
    subprocess.run([sys.executable, "make_data.py"], cwd=folder, check=True, timeout=bound(60))
    if replaced:
        loop = folder / "loop.yaml"
        text = loop.read_text()
        assert "rollout: {watch: 7d}" in text
        loop.write_text(text.replace("rollout: {watch: 7d}", f"rollout: {replaced['rollout']}"))
    data = [f"--{part}={model}/{part}.parquet" for part in ("train", "holdout")]
    reader.run("deploy", model, *data)
    return ("--model", model)


def rehearse_approval(reader: Reader) -> None:
    """The run about the drift trains and passes the gate. It is not released: the next sections use the first version."""
    [run] = reader.ask("retraining", "/runs")["runs"]
    assert run["state"] == "suggested"
    reader.run("approve", run["run_id"])
    ends = time.monotonic() + 60 * time_factor()
    while (run := reader.ask("retraining", f"/runs/{run['run_id']}"))["state"] in WORKING:
        assert time.monotonic() < ends, run
        time.sleep(0.2)
    assert run["state"] == "waiting_for_approval", run["reason"]
    assert run["gate"]["passed"]
    reader.run("reject", run["run_id"])


def test_rows_lead_to_the_verdict_the_page_promises(reader: Reader) -> None:
    commands = section("Data")
    promised = {
        "traffic": ("ok", ()),
        "drift": ("drift", ("feature",)),
        "concept-drift": ("drift", ("performance",)),
        "fault": ("data_fault", ()),
    }
    assert {words[2] for words in commands if words[1] == "inject"} == set(promised)
    for words in commands:
        done = reader.finish(reader.start(shortened(words)))
        if words[1] != "inject":
            continue
        state, drifted = promised[words[2]]
        verdict = done["verdict"]
        assert (verdict["state"], done["failed"]) == (state, 0), (words, verdict)
        assert set(drifted) <= set(verdict["drifted"]), (words, verdict)
        assert done["rows"] == done["answered"] == done["in_lake"] == done["outcomes"]
        if "--feature" in words:
            assert verdict["top_drifted_features"] == [words[words.index("--feature") + 1]]
        assert any("homeostat why" in command for command in done["next"])
        if words[2] == "concept-drift":
            rehearse_approval(reader)
    # Of all this nothing but the reversed outcomes touches the policy: a fault starts no run, neither does a feature's drift.
    decisions = {
        one["cause_key"]: one for one in reader.ask("retraining", "/decisions?limit=100")["decisions"]
    }
    verdicts = {one["verdict_id"]: one for one in reader.ask("drift", "/verdicts?limit=100")["verdicts"]}
    suggested = {key for key, one in decisions.items() if one["action"] != "wait"}
    assert all("performance" in verdicts[key]["drifted"] for key in suggested), suggested
    assert {one["state"] for one in reader.ask("retraining", "/runs")["runs"]} <= {"rejected", "suggested"}


def test_parts_come_back_and_nothing_is_lost_meanwhile(reader: Reader) -> None:
    commands = section("Processes")
    assert [words[1:3] for words in commands] == [
        ["inject", "broker-down"],
        ["inject", "kill"],
        ["doctor"],
    ]
    broker_down, kill, doctor = commands
    before = {name: reader.part(name) for name in ("inference", "kafka", "sink")}
    outage = reader.start(shortened(broker_down))
    traffic = reader.run("inject", "traffic", "--rate", "60", "--rows", "300", "--seed", "0")
    reader.finish(outage)
    assert traffic["failed"] == 0
    assert traffic["answered"] == traffic["in_lake"] == traffic["outcomes"] == 300
    assert traffic["verdict"]["state"] == "ok"
    reader.finish(reader.start(kill))
    # The broker and the sink were restarted, once each.
    assert reader.part("inference").pid == before["inference"].pid
    for name in ("kafka", "sink"):
        assert reader.part(name).pid != before[name].pid
        assert reader.part(name).restarts == before[name].restarts + 1
    assert psutil.Process(before["inference"].pid).status() != psutil.STATUS_STOPPED
    assert not list((reader.home / "run" / "suppressed").glob("*.json"))

    report = reader.finish(reader.start(doctor))
    failed = [one for one in report["findings"] if one["state"] == "failure"]
    assert failed == []
    found = {one["checked"]: one for one in report["findings"]}
    assert "generation 1 is served" in found["release of parcels"]["found"]
    assert found["kafka" if "kafka" in found else "broker"]["state"] == "ok"
    assert {"spool", "consumer lag", "last data"} <= set(found)
    ids = reader.logged()
    assert len(ids) == len(set(ids))


def test_rows_of_others_are_not_mixed_with_injected_ones_unasked(reader: Reader) -> None:
    before = reader.logged()
    row = {"service": "economy", "distance_km": 820, "weight_kg": 2.5, "parcels_today": 431}
    url = f"http://127.0.0.1:{reader.state().ports['inference']}/predict"
    local_http.post(url, json={"model": "parcels", "rows": [row]}, timeout=bound(10)).raise_for_status()
    ends = time.monotonic() + 30 * time_factor()
    while len(reader.logged()) == len(before):
        assert time.monotonic() < ends, "the row is not in the lake"
        time.sleep(0.2)
    refused = reader.start(["homeostat", "inject", "traffic"])
    said = json.loads(refused.communicate(timeout=bound(60))[0])
    assert refused.returncode == 3
    # All rows that were injected before are known as injected.
    assert "the lake holds rows of parcels that were not injected (1)" in said["error"]
    assert "--yes" in said["hint"]
    assert len(reader.logged()) == len(before) + 1
    assert reader.run("inject", "traffic", "--yes", "--rows", "10", "--wait", "0")["answered"] == 10


def test_bad_challenger_is_taken_back_and_the_version_before_answers(reader: Reader) -> None:
    """The run is promoted, and rolled back in its watch. From here on the stack serves several models."""
    rehearse, releases = section("A bad challenger")
    model = deploy_another(reader, "letters")
    done = reader.finish(reader.start([*shortened(rehearse), *model]), within_s=400)
    assert (done["outcome"], done["taken_back"]) == ("rolled_back", True), done
    assert done["answers"] == done["former"] != done["challenger"]
    assert [(stage["slot"], stage["failed"]) for stage in done["stages"]] == [("live", 0)]
    assert releases[2] == "parcels"
    newest = reader.run("releases", "letters")["releases"][:2]
    reasons = {(one["reason"], one["actor"] == "loop") for one in newest}
    assert ("rollback", True) in reasons
    assert {one["reason"] for one in newest} == {"rollback", "promotion"}


def test_bad_canary_is_refused_by_its_traffic(reader: Reader) -> None:
    """Real servers and rows: it answers a share until it is refused, and then the version before answers all."""
    model = deploy_another(reader, "crates", rollout="{watch: 7d, canary: {share: 0.4, duration: 7d}}")
    options = ("--yes", "--rate", "1000", "--kind", "frozen")
    bad = reader.finish(
        reader.start(["homeostat", "inject", "bad-challenger", *options, *model]), within_s=400
    )
    assert (bad["outcome"], bad["answers"]) == ("refused", bad["former"]), bad
    assert [stage["slot"] for stage in bad["stages"]] == ["canary"]
    assert "evidence that it is worse" in bad["reason"]
