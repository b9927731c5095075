"""The walk: docs/containers.md from the first start to the restored backup, on a real engine, one check after the other.

Commands of the page are taken from it, so that a procedure that does not work there fails here.
"""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from tests.containers.composition import is_ours, load
from tests.containers.engine.checks import CheckFailed, Checks, expect
from tests.containers.engine.engine import DebianEngine
from tests.containers.engine.stack import Stack, documented
from tests.containers.engine.stand_ins import DEBIAN

OURS = ("inference", "shipper", "sink", "drift", "retraining", "console")
PORTS = {
    8000: "/v2/health/live",
    8001: "/health/live",
    8002: "/health/ready",
    8003: "/health/ready",
    8004: "/health/live",
    8005: "/health/live",
}
# What each template of `homeostat init --with` trains with; torch's packages are gigabytes.
TEMPLATES = {"numpy": "", "scikit-learn": "training_scikit_learn"}
# A version was trained and compared with the live one, whatever came of it.
JUDGED = ("promoted", "succeeded", "refused", "waiting_for_approval")
STOP_S = 40.0
TRAFFIC = 40


def init_and_deploy(name: str, *, library: str = "numpy") -> str:
    """The commands of section `Your own model` for a template of `homeostat init`, as a model of this name."""
    commands = documented("Your own model").replace("my-model", name)
    return commands.replace(
        f"init /projects/{name}", f"init /projects/{name} --with {library} --model {name}"
    )


@dataclass
class Walk:
    """The steps of the walk. `seconds` are its own measurements, by name."""

    stack: Stack
    checks: Checks
    has_grafana_stub: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    memory: dict[str, str] = field(default_factory=dict)

    def secrets(self) -> None:
        """What stands before everything else."""
        check = self.checks
        check("without secrets Compose refuses, and names the script", self._refused)
        check("secrets.sh makes them", partial(self.stack.run, "deploy/containers/secrets.sh"))
        check("the composition is valid", partial(self.stack.compose, "config --quiet"))

    def build(self) -> None:
        """Every image, from the Dockerfile as it is."""
        began = time.monotonic()
        names = sorted(name for name, service in load()["services"].items() if is_ours(service))
        for name in [name for name in names if name not in ("keys", "topics", "demo")]:
            build = partial(self.stack.compose, f"--profile '*' build {name}", timeout_s=1500)
            self.checks(f"image of {name} is built", build)
        self.seconds["build"] = time.monotonic() - began

    def first_start(self) -> None:
        """Section `First start`, and what must hold after it."""
        stack, check = self.stack, self.checks
        began = time.monotonic()
        check("compose up --build --wait", partial(stack.run, documented("First start"), timeout_s=1200))
        self.seconds["up"] = time.monotonic() - began
        check("keys and topics ended with 0", self._one_shots_ended)
        check("all are healthy", partial(stack.await_healthy, within_s=5))
        for port, path in PORTS.items():
            check(f"127.0.0.1:{port} answers", partial(stack.get, port, path))
        for name in OURS:
            check(
                f"{name} runs as 10001, without rights, on a root that it cannot write",
                partial(self._is_confined, name),
            )
        check("server_keys hold no signing key", self._no_signing_key)
        check("doctor in the container finds nothing", partial(stack.compose, "run --rm cli doctor"))

    def own_model(self, library: str, lock: str) -> None:
        """Section `Your own model`, with a template of `homeostat init`."""
        stack, name = self.stack, library.replace("-", "")
        commands = init_and_deploy(name, library=library)

        def train() -> None:
            if lock:
                stack.run(f"grep -q TRAINING_LOCK .env || echo TRAINING_LOCK={lock} >>.env")
                stack.compose("up --build --wait retraining", timeout_s=1800)
                stack.compose("--profile tools build cli", timeout_s=900)
            stack.run(commands, timeout_s=900)

        def predict() -> None:
            before = stack.settled_rows(name)  # the training rows are imported
            expect(stack.predict(name)["generation"] == 1, "generation 1 answers")
            stack.await_rows(name, before + 1)

        if self.checks(f"own model with {library} is trained and deployed", train):
            self.checks(f"own model with {library} answers, its row is in the lake", predict)

    def retrain(self, model: str) -> None:
        """A run on request, in the container of retraining: it must end, with a version trained and judged."""

        def run() -> None:
            # Imported rows train, but the gate compares on rows that were answered.
            rows = f"/data/projects/{model}/train.parquet"
            self.stack.compose(f"run --rm cli replay {rows} --model {model} --delay 3d", timeout_s=600)
            self.stack.settled_rows(model)
            self.stack.compose(f"run --rm cli trigger {model} --reason walk")
            ends = time.monotonic() + 300
            state = ""
            while state not in JUDGED:
                found = json.loads(self.stack.get(8003, f"/runs?model={model}&limit=1"))["runs"]
                state = found[0]["state"] if found else ""
                if state == "suggested":  # automation of the templates
                    self.stack.compose(f"run --rm cli approve {found[0]['run_id']}")
                expect(state not in ("failed", "abandoned", "rejected"), f"{found}")
                expect(time.monotonic() < ends, f"the run is {state or 'not there'}")
                time.sleep(2)

        self.checks(f"{model} is retrained on request", run)

    def demo(self) -> None:
        """The demo ends when a version that the loop made is served: drift, decision, training, gate, swap."""
        began = time.monotonic()
        self.checks(
            "demo ends with a version of the loop",
            partial(self.stack.run, documented("First start", 2), timeout_s=1200),
        )
        self.seconds["demo"] = time.monotonic() - began
        stats = self.stack.run("docker stats --no-stream --format '{{.Name}} {{.MemUsage}}'")
        for line in stats.splitlines():
            found = re.match(r"\S*?-(\w+)-\d+ (\S+) /", line)
            if found:
                self.memory[found[1]] = found[2]

    def faults(self) -> None:
        """Kafka away under traffic; the process of each part killed."""
        check = self.checks
        check(
            "all predictions are answered while Kafka restarts, and each is in the lake", self._kafka_restarts
        )
        for name in (*OURS, "kafka", "postgres"):
            check(f"{name} is killed and comes back healthy", partial(self._is_killed, name))
        check("a prediction is answered and in the lake after that", self._one_more_row)

    def stop_and_start(self, engine: object) -> None:
        """stop, down and up, the engine's own restart: everything is kept."""
        stack, check = self.stack, self.checks
        before = {"parcels": stack.rows("parcels"), "numpy": stack.rows("numpy")}
        served = stack.predict("parcels")["generation"]

        def is_kept() -> None:
            stack.await_healthy()
            expect(stack.predict("parcels")["generation"] == served, f"generation {served} is served")
            before["parcels"] += 1
            for model, count in before.items():
                stack.await_rows(model, count)

        def down_and_up() -> None:
            stack.compose("down")
            stack.compose("up --detach --wait")
            is_kept()

        def restart() -> None:
            assert isinstance(engine, DebianEngine)
            engine.restart()
            is_kept()

        stack.await_rows("parcels", before["parcels"] + 1)
        before["parcels"] += 1
        check(f"stop takes less than {STOP_S:.0f} s and kills nothing", self._stop)
        check("down and up: versions and rows are kept", down_and_up)
        check("down leaves no volume without a name", self._no_nameless_volume)
        if isinstance(engine, DebianEngine):
            check("the machine restarts: everything comes back by itself", restart)

    def backup(self) -> None:
        """Section `Volumes and backup`: saved, everything deleted, restored."""
        stack, check = self.stack, self.checks
        decisions = partial(stack.get, 8003, "/decisions?model=parcels&limit=1")
        expected = (decisions(), stack.rows("parcels"))

        def restored() -> None:
            stack.run(documented("Volumes and backup", 1), timeout_s=900)
            found = (decisions(), stack.rows("parcels"))
            expect(found == expected, f"{found}, expected {expected}")
            expect(stack.predict("parcels")["generation"] > 1, "the version of the loop is served")

        if check("backup is written", partial(stack.run, documented("Volumes and backup"))):
            check("everything is deleted", partial(stack.compose, "--profile '*' down --volumes"))
            check("backup is restored: decisions, rows and versions", restored)

    def observability(self) -> None:
        """The profile `observability`."""
        check = self.checks
        check(
            "profile observability is healthy",
            partial(self.stack.run, documented("What runs"), timeout_s=1500),
        )
        check("Prometheus has every target up", self._targets_are_up)
        check("doctor finds nothing with monitoring", self._doctor_finds_nothing)

    def _refused(self) -> None:
        done = self.stack.attempt("docker compose config --quiet")
        expect(done.returncode != 0 and "secrets.sh" in done.stderr, done.stderr or "accepted")

    def _one_shots_ended(self) -> None:
        ended = {one["Service"]: one["ExitCode"] for one in self.stack.containers()}
        expect((ended.get("keys"), ended.get("topics")) == (0, 0), str(ended))

    def _is_confined(self, name: str) -> None:
        code = (
            "import os\n"
            "status = dict(line.split(':', 1) for line in open('/proc/1/status'))\n"
            "assert status['Uid'].split() == ['10001'] * 4, status['Uid']\n"
            "assert int(status['CapEff'], 16) == 0 and status['NoNewPrivs'].strip() == '1'\n"
            "try: open('/app/x', 'w')\n"
            "except OSError as error: assert error.errno == 30, error\n"
            "else: raise SystemExit('/app can be written')\n"
        )
        self.stack.compose(f'exec -T {name} python -c "{code}"')

    def _no_signing_key(self) -> None:
        found = self.stack.compose("exec -T inference ls /data/keys").split()
        expect(found and "signing.pem" not in found, str(found))

    def _kafka_restarts(self) -> None:
        before = self.stack.rows("numpy")
        with ThreadPoolExecutor(1) as pool:
            restart = pool.submit(self.stack.compose, "restart kafka")
            for _ in range(TRAFFIC):
                self.stack.predict("numpy")
            restart.result()
        self.stack.await_rows("numpy", before + TRAFFIC)

    def _is_killed(self, name: str) -> None:
        self.stack.host_kill(name, DEBIAN)
        self.stack.await_healthy()

    def _one_more_row(self) -> None:
        before = self.stack.rows("numpy")
        self.stack.predict("numpy")
        self.stack.await_rows("numpy", before + 1)

    def _stop(self) -> None:
        began = time.monotonic()
        self.stack.compose("--profile '*' stop")
        self.seconds["stop"] = time.monotonic() - began
        killed = [one["Service"] for one in self.stack.containers() if one["ExitCode"] == 137]
        expect(not killed, f"killed: {killed}")
        expect(self.seconds["stop"] < STOP_S, f"{self.seconds['stop']:.0f} s")

    def _no_nameless_volume(self) -> None:
        nameless = [
            one
            for one in self.stack.run("docker volume ls --quiet").split()
            if re.fullmatch("[0-9a-f]{64}", one)
        ]
        expect(not nameless, f"{len(nameless)} left")

    def _doctor_finds_nothing(self) -> None:
        done = self.stack.attempt("docker compose run --rm cli doctor --json")
        failures = [one for one in json.loads(done.stdout)["findings"] if one["state"] == "failure"]
        # A stub has no boards, and nothing can be shown about them with it.
        expect(
            [one for one in failures if one["checked"] != "grafana" or not self.has_grafana_stub] == [],
            str(failures),
        )

    def _targets_are_up(self) -> None:
        ends = time.monotonic() + 120
        login = "--user homeostat:$(cat secrets/monitoring_password)"
        while True:
            answer = self.stack.run(f"curl -sf {login} http://127.0.0.1:9090/api/v1/targets")
            states = re.findall(r'"health":"(\w+)"', answer)
            if states and set(states) == {"up"}:
                return
            if time.monotonic() > ends:
                raise CheckFailed(f"{states}")
            time.sleep(3)
