"""Each image's exact command, in a folder that holds what the image holds, as its user, on a root it cannot write.

One story from an empty installation to a version the loop made, each step with the composition's own services and one-shots.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from shared.stores.lake import Lake
from tests import local_http
from tests.containers.composition import is_ours, load
from tests.containers.project import Project
from tests.containers.sandbox import wait_for

# What `docker compose up` starts of ours, in the order that depends_on allows; each must be healthy before the next needs it.
LOOP = ("inference", "shipper", "sink", "drift", "retraining", "console")
# What the profile observability adds of ours.
MIRROR = "mlflow"
# What a scrape of each must have.
METRICS = {
    "inference": "homeostat_inference_requests_in_flight",
    "shipper": "homeostat_shipper_kafka_up",
    "sink": "homeostat_sink_failures_total",
    "drift": "homeostat_drift_unpublished_verdicts",
    "retraining": "homeostat_retraining_leader",
    "console": "homeostat_console_requests_total",
}


@pytest.fixture(scope="module")
def running(project: Project) -> Project:
    """The whole loop, healthy."""
    assert "/data/keys" in project.run("keys")
    assert "homeostat.predictions" in project.run("topics")
    for name in (*LOOP, MIRROR):  # at once: nothing of ours depends on another part's health
        project.start(name)
    for name in (*LOOP, MIRROR):
        wait_for(
            partial(project.is_healthy, name), seconds=150, what=f"{name}: {project.process(name).said()}"
        )
    return project


def test_the_one_shots_may_run_again(project: Project) -> None:
    before = project.run("keys"), sorted(path.read_bytes() for path in project.volume("keys").iterdir())
    assert (
        project.run("keys"),
        sorted(path.read_bytes() for path in project.volume("keys").iterdir()),
    ) == before


KEYS = {
    "inference": ["prediction_id.key", "pseudonyms.key", "signing.pub"],
    "shipper": ["prediction_log.key"],
    "sink": ["prediction_log.key"],
    "drift": ["prediction_log.key", "signing.pub", "verdicts.key"],
}


def test_services_see_only_the_keys_that_they_need(project: Project) -> None:
    project.run("keys")
    for name, expected in KEYS.items():
        assert project.sandbox(name).run(["ls", "/data/keys"]).stdout.split() == expected, name
    assert "signing.pem" in project.sandbox("retraining").run(["ls", "/data/keys"]).stdout


def test_inference_starts_without_other_services(environments: None, sandboxes: None, tmp_path: Path) -> None:
    alone = Project(load(), tmp_path, {"kafka:9092": "127.0.0.1:1", "postgres:5432": "127.0.0.1:2"})
    try:
        alone.api_keys()
        alone.run("keys")
        alone.start("inference")
        wait_for(lambda: alone.is_healthy("inference"), seconds=60, what=alone.process("inference").said())
    finally:
        alone.kill()


@pytest.mark.parametrize("name", [name for name, service in load()["services"].items() if is_ours(service)])
def test_nothing_but_its_volumes_can_be_written(project: Project, name: str) -> None:
    service = load()["services"][name]
    probe = (
        "import os, sys\n"
        "assert os.getuid() == 10001, os.getuid()\n"
        "for place in sys.argv[1:]:\n"
        "    try:\n"
        "        open(os.path.join(place, '.probe'), 'w').close(); os.remove(os.path.join(place, '.probe'))\n"
        "    except OSError as error:\n"
        "        print(place, error.errno)\n"
        "    else:\n"
        "        print(place, 'written')\n"
    )
    writable = {text.split(":")[1]: not text.endswith(":ro") for text in service.get("volumes", ())}
    writable |= {text.split(":")[0]: True for text in service["tmpfs"]}
    places = ["/", "/app", "/opt/homeostat", "/data", "/usr", *writable]
    done = project.sandbox(name).run(["python", "-c", probe, *places])
    assert done.returncode == 0, done.stderr
    found = {line.split()[0]: line.split()[1] == "written" for line in done.stdout.splitlines()}
    assert found == {place: writable.get(place, False) for place in places}


def test_every_part_is_healthy_and_can_be_scraped(running: Project) -> None:
    for name, metric in METRICS.items():
        assert running.is_healthy(name)
        address = f"{running.url(name)}/metrics"
        assert local_http.get(address, timeout=10).status_code == 401, name
        assert metric in local_http.get(address, headers=running.headers("prometheus"), timeout=10).text


@pytest.mark.timeout(300)
def test_the_demo_ends_with_a_version_the_loop_made(running: Project) -> None:
    """Predict, log, judge, decide, train, prove, release, swap: everything the images are for."""
    said = running.run("demo", [*running.command("demo"), "--pause=0"], timeout_s=280)
    assert "made by retraining" in said, said

    releases = local_http.get(
        f"{running.url('retraining')}/models/parcels/releases", headers=running.headers(), timeout=10
    ).json()["releases"]
    assert [release["reason"] for release in releases] == ["deployment", "promotion"]
    answered = sum(500 for line in said.splitlines() if "log-loss" in line)
    lake = Lake(str(running.volume("lake")))

    def arrived() -> int:
        table = lake.open(lake.predictions("parcels"))
        return table.to_pyarrow_table(columns=["prediction_id"]).num_rows if table is not None else 0

    wait_for(lambda: arrived() == answered, seconds=30, what=f"{answered} answered, {arrived()} in the lake")


def test_the_run_is_mirrored_to_mlflow(running: Project) -> None:
    """Over the network, by a host name that MLflow must be configured to accept."""

    def mirrored() -> list[str]:
        answer = local_http.get(f"{running.url(MIRROR)}/api/2.0/mlflow/registered-models/search", timeout=10)
        assert answer.status_code == 200, answer.text
        return [one["name"] for one in answer.json().get("registered_models", ())]

    status = local_http.get(
        f"{running.url('retraining')}/status", headers=running.headers(), timeout=10
    ).json()
    wait_for(
        lambda: mirrored() == ["parcels"],
        seconds=60,
        what=f"{status['mlflow']}; {running.process(MIRROR).said()}",
    )
    foreign = local_http.get(
        f"{running.url(MIRROR)}/api/2.0/mlflow/registered-models/search", headers={"Host": "foreign.test"}
    )
    assert foreign.status_code == 403


@pytest.mark.parametrize("name", [MIRROR, *LOOP[::-1]])
def test_it_ends_in_order_when_docker_stops_it(running: Project, name: str) -> None:
    status = running.process(name).stop(grace_s=30)
    assert status in (0, 143), f"{name} ended with {status}: {running.process(name).said()}"
