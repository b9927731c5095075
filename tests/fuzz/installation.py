"""Every service as a process of its own, on data that gives each route something to answer; without a broker."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from services.retraining.bootstrap import build
from services.retraining.settings import RetrainingSettings
from services.retraining.triggers.webhooks import read_triggers
from shared.access.route_table import RouteTable
from shared.access.scope import Scope
from shared.contracts.prediction_id import PredictionIds
from tests import local_http
from tests.fakes.api_keys import ApiKeys
from tests.fakes.callers import ADMIN
from tests.fakes.class_model import put_classes
from tests.fakes.retraining_installation import MODEL, START, make_installation
from tests.fakes.service_processes import RunningService, running
from tests.fakes.tensor_model import release_tensor
from tests.fakes.toy_model import ToyStore
from tests.fakes.vector_model import embedding_loop, put_vectors
from tests.fuzz.campaign import Service
from tests.fuzz.payloads import Route
from tests.fuzz.routes import (
    console_routes,
    drift_routes,
    inference_routes,
    metrics_routes,
    retraining_routes,
)
from tests.fuzz.wire import Credential
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.world import World, loop, ordinary
from tests.waiting import eventually

# A request through BentoML costs several times as much as one on the fast path.
SHARES = {
    "inference": 8.0,
    "inference-bentoml": 3.0,
    "retraining": 3.0,
    "drift": 2.0,
    "console": 2.0,
    "shipper": 1.0,
    "sink": 1.0,
}
_LIMITED_RATE = 2.0


def make_credentials(keys: ApiKeys) -> list[Credential]:
    """Every state of credentials; the first one has all scopes."""
    everything = frozenset(Scope)
    texts = {"all scopes": (keys.make("everything", *Scope), everything)}
    for scope in Scope:
        texts[f"only {scope}"] = (keys.make(f"only-{scope}", scope), frozenset({scope}))
    texts["limited rate"] = (keys.make("limited", *Scope, requests_per_second=_LIMITED_RATE), everything)
    past = datetime.now(UTC) - timedelta(seconds=1)
    texts["expired"] = (keys.make("expired", *Scope, expires_at=past), frozenset())
    texts["revoked"] = (keys.make("revoked", *Scope), frozenset())
    keys.revoke("revoked")
    made = [Credential(name, f"Bearer {text}".encode(), scopes) for name, (text, scopes) in texts.items()]
    whole = texts["all scopes"][0]
    for name, header in (
        ("none", None),
        ("empty", b""),
        ("other scheme", b"Basic YTpi"),
        ("malformed", b"Bearer key"),
        ("not text", b"Bearer \xff\xfe"),
        ("long", b"Bearer " + b"a" * 8000),
        ("unknown", f"Bearer hs_{'0' * 12}_{'A' * 43}".encode()),
        ("wrong secret", f"Bearer {whole[:-43]}{'A' * 43}".encode()),
        ("two keys", f"Bearer {whole}, Bearer {whole}".encode()),
    ):
        made.append(Credential(name, header))
    return made


def make_serving(home: Path) -> tuple[Route, ...]:
    """Models of four kinds, released; the routes of the server."""
    home.mkdir()
    toys = ToyStore(home)
    version = toys.put_and_release(0.5, kind="probability").version
    release_tensor(toys)
    toys.release(put_classes(toys).version, model="animals")
    vectors = embedding_loop()
    toys.release(put_vectors(toys, vectors).version, model=vectors.model)
    ids = PredictionIds(toys.keys.prediction_id_secret())
    return inference_routes(version, [ids.make("toy"), ids.make("toy")])


def make_drift(home: Path) -> tuple[tuple[Route, ...], str]:
    """A lake with an evaluated window; the routes, and the id of the verdict."""
    installation = Installation(World(home))
    manifest = installation.world.version(loop(), ordinary(1000, 1))
    installation.world.release(manifest)
    installation.world.answer(manifest, 1, ordinary(700, 2, shift=1.0))
    verdict_id = installation.settle()[0].verdict_id
    installation.verdicts.close()
    return drift_routes(verdict_id), verdict_id


def make_retraining(folder: Path) -> tuple[tuple[Route, ...], str, str]:
    """A deployed model and a suggested run; the routes, the run and its cause."""
    budget = {"budget": {"runs": 2, "per": "30d"}, "cooldown": "0s"}
    world = make_installation(folder, days=15, automation="suggest", retraining=budget)
    service = build(world.settings, RetrainingSettings(listen=False, mlflow=False))
    service.controller.deploy(MODEL, world.champion, str(world.project), "ann")
    asked = {"model": MODEL, "reason": "new data", "key": "one", "actor": "ann"}
    [cause], _ = read_triggers(asked, START + timedelta(days=14), ADMIN)
    recorded = service.controller.handle_cause(cause)
    routes = retraining_routes(MODEL, world.champion, str(world.project), recorded.run_id, recorded.cause_key)
    return routes, recorded.run_id, recorded.cause_key


@contextmanager
def running_services(
    folder: Path, names: tuple[str, ...] = tuple(SHARES)
) -> Iterator[tuple[list[Service], list[Credential]]]:
    """The services of `names` until the end of the block, each with its logs below `folder`, and the credentials."""
    keys = ApiKeys(folder / "api_keys.json")
    credentials = make_credentials(keys)
    whole = credentials[0].header
    assert whole is not None
    logging.disable(logging.CRITICAL)
    structlog.configure(processors=[_drop])
    started: dict[str, RunningService] = {}
    routes: dict[str, tuple[Route, ...]] = {}
    homes = dict.fromkeys(("inference", "inference-bentoml", "shipper", "sink"), folder / "serving")
    homes |= {
        "drift": folder / "drift",
        "retraining": folder / "retraining" / "home",
        "console": folder / "console",
    }
    serving = make_serving(homes["inference"])
    routes |= {"inference": serving, "inference-bentoml": serving}
    routes |= {name: metrics_routes(name) for name in ("shipper", "sink")}
    if "drift" in names or "console" in names:
        routes["drift"], verdict_id = make_drift(homes["drift"])
    if "retraining" in names or "console" in names:
        routes["retraining"], run_id, cause = make_retraining(folder / "retraining")
    if "console" in names:
        homes["console"].mkdir()
        routes["console"] = console_routes(MODEL, run_id, cause, verdict_id)
    common = {
        "HOMEOSTAT_API_KEYS": str(keys.path),
        "HOMEOSTAT_ANONYMOUS_ACCESS": "false",
        "HOMEOSTAT_API_KEY": whole.decode().removeprefix("Bearer "),
        "HOMEOSTAT_RETRAINING_LISTEN": "false",
    }
    with ExitStack() as ending:
        for name in names:
            environment = dict(common)
            if name == "inference-bentoml":
                environment["HOMEOSTAT_INFERENCE_FAST_PATH"] = "false"
            environment |= {
                f"HOMEOSTAT_{one.upper()}_URL": started[one].url for one in started if "-" not in one
            }
            command = name.partition("-")[0]
            log = folder / f"{name}.log"
            started[name] = ending.enter_context(
                running(command, homes[name], environment=environment, log=log)
            )
        for name in names:
            path = "/v2/health/ready" if name.startswith("inference") else "/health/ready"
            url = f"{started[name].url}{path}"
            if name not in ("shipper", "sink"):  # not ready without a broker
                eventually(partial(_is_ready, url), f"{name} is ready", within_s=60)
        yield (
            [
                Service(
                    name,
                    started[name].port,
                    started[name].process.pid,
                    routes[name],
                    RouteTable.of(name.partition("-")[0]),
                    SHARES[name],
                )
                for name in names
            ],
            credentials,
        )


def _is_ready(url: str) -> bool:
    return local_http.get(url).status_code == 200


def _drop(_: object, __: str, ___: object) -> str:
    raise structlog.DropEvent


def logged_errors(folder: Path) -> Counter[str]:
    """The unknown errors in the services' logs: how often each service logged which one, and the last line of ours."""
    found = Counter[str]()
    for log in sorted(folder.glob("*.log")):
        for line in log.read_text(errors="replace").splitlines():
            if '"exception"' not in line:
                continue
            trace = str(json.loads(line)["exception"]).strip().splitlines()
            ours = [
                place
                for place in trace
                if re.search(r'File ".*/(services|shared)/(?!.*site-packages)', place)
            ]
            found[f"{log.stem}: {trace[-1][:200]} ({ours[-1].strip() if ours else 'no line of ours'})"] += 1
    return found
