"""The Dockerfile keeps its promises: pinned bases, hashed packages, one part to an image, no rights, no shell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local_stack.settings import LocalStackSettings
from local_stack.supervisor.process_specs import QUIET, services
from tests.containers.composition import is_ours, load
from tests.containers.dockerfile import DOCKERFILE, ROOT, Image, image, instructions, read
from tests.containers.images import ignored
from tests.repo.tracked import tracked

LOCAL = {spec.name: spec for spec in services(LocalStackSettings(_env_file=None))}
BUILDS = {
    name: (service["build"]["target"], service["build"]["args"])
    for name, service in load().items()
    if name == "services"
    for name, service in service.items()
    if is_ours(service)
} | {"inference on a GPU": ("inference", {"SERVICE": "inference", "LOCK": "inference"})}
# Those whose image is a service of the local stack; the command line's is not.
SERVERS = [name for name, (_, given) in BUILDS.items() if given["SERVICE"] in LOCAL]
# The folder of code that each SERVICE may hold beside shared/; nothing of another.
CODE = {
    "inference": "services/inference",
    "shipper": "services/prediction_log",
    "sink": "services/prediction_log",
    "drift": "services/drift",
    "retraining": "services/retraining",
    "console": "services/console",
    "cli": "cli",
    "mlflow": "",
}
COMMON = {
    *("LICENSE", "shared", "deploy/__init__.py"),
    *("deploy/containers/__init__.py", "deploy/containers/probe.py"),
}
EXTRA = {
    "cli": {
        "backtest",
        "dashboards",
        "homeostat/__init__.py",
        "homeostat/logged_rows.py",
        "homeostat/client",
        "local_stack",
        "deploy/containers/keys.py",
        "deploy/containers/topics.py",
        "deploy/containers/demo.py",
        "deploy/kubernetes",
    }
}
FULL_TAG = re.compile(r"^[a-z0-9./-]+:v?\d+\.\d+\.\d+(-[a-z0-9.-]+)?$|^postgres:\d+\.\d+-[a-z]+$")


def built(name: str) -> Image:
    target, given = BUILDS[name]
    return image(target, given)


@pytest.mark.parametrize("name", BUILDS)
def test_the_base_is_pinned_and_slim(name: str) -> None:
    assert FULL_TAG.match(built(name).base), built(name).base
    assert "slim" in built(name).base


def test_every_stage_stands_on_a_stage_or_the_one_pinned_base() -> None:
    arguments, stages = read()
    for stage in stages.values():
        base = stage.base.replace("${PYTHON}", arguments["PYTHON"]).replace("${SERVICE}", "drift")
        assert base in stages or base in (f"python:{arguments['PYTHON']}", "scratch"), stage


@pytest.mark.parametrize("name", BUILDS)
def test_it_runs_as_a_user_without_rights_from_a_list_and_can_be_stopped(name: str) -> None:
    found = built(name)
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", found.user)
    assert found.stop_signal == "SIGTERM"
    assert found.command[0] == "python"
    assert found.folder == "/app"


def test_commands_and_checks_are_lists_so_that_no_shell_swallows_a_signal() -> None:
    for one in instructions(DOCKERFILE.read_text(encoding="utf-8")):
        if one.name in ("CMD", "ENTRYPOINT"):
            assert one.is_exec_form, one
        if one.name == "HEALTHCHECK":
            assert one.text.partition(" CMD ")[2].startswith("["), one
        assert one.name != "ADD", "ADD fetches and unpacks; COPY says what it does"


@pytest.mark.parametrize("name", BUILDS)
def test_only_its_own_code_goes_in(name: str) -> None:
    part = BUILDS[name][1]["SERVICE"]
    held = {source for copy in built(name).copies if not copy.origin for source in copy.sources}
    wanted = COMMON | EXTRA.get(part, set()) | ({CODE[part]} if CODE[part] else set())
    wanted |= {"services/__init__.py"} if CODE[part].startswith("services/") else set()
    assert held == wanted


@pytest.mark.parametrize("name", SERVERS)
def test_the_health_check_asks_where_the_local_stack_asks(name: str) -> None:
    part = BUILDS[name][1]["SERVICE"]
    spec = LOCAL[part]
    found = built(name)
    assert found.ports == [spec.port]
    assert found.healthcheck == [
        *("python", "-m", "deploy.containers.probe"),
        f"http://127.0.0.1:{spec.port}{spec.ready_path}",
    ]


@pytest.mark.parametrize("name", SERVERS)
def test_it_is_started_as_the_local_stack_starts_it(name: str) -> None:
    part = BUILDS[name][1]["SERVICE"]
    spec = LOCAL[part]
    # Its own Python and the addresses differ: a container takes those from its settings.
    local = list(spec.command[1:])
    for option in ("--host", "--port", "--home"):
        if option in local:
            del local[local.index(option) : local.index(option) + 2]
    assert built(name).command[1:] == [word for word in local if not re.match(r"--(host|port|home)=", word)]


@pytest.mark.parametrize("name", BUILDS)
def test_no_telemetry_and_nothing_written_beside_the_code(name: str) -> None:
    environment = built(name).environment
    assert {key: environment.get(key) for key in QUIET} == QUIET
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert environment["HOMEOSTAT_HOME"] == "/data"


def test_packages_come_from_hashed_locks_alone() -> None:
    installs = [
        run
        for stage in read()[1]
        for run in image(stage, {"SERVICE": "drift", "LOCK": "drift"}).runs
        if re.search(r"\bpip (install|sync)\b", run)
    ]
    assert len(installs) == 3
    for run in installs:
        assert "--require-hashes" in run
        assert re.search(r"/locks/[a-z_]+\.txt( |$)", run), run
    assert {copy.sources for copy in image("packages", {"LOCK": "drift"}).copies} == {
        ("locks/uv.txt", "locks/sbom.txt", "locks/drift.txt"),
        ("deploy/containers/slim.py",),
    }


def test_every_lock_that_is_named_exists() -> None:
    for _, given in BUILDS.values():
        assert (ROOT / "locks" / f"{given['LOCK']}.txt").is_file()


def test_the_builder_is_given_what_it_copies_and_no_more() -> None:
    allowed = {path.relative_to(ROOT).parts[0] for path in tracked() if path.exists() and not ignored(path)}
    assert allowed == {
        *(
            "LICENSE",
            "backtest",
            "cli",
            "dashboards",
            "deploy",
            "homeostat",
            "local_stack",
            "locks",
            "services",
            "shared",
        ),
    }
    for secret in (
        ".env",
        "secrets/postgres_password",
        "deploy/containers/projects/mine/train.parquet",
        "build/x",
    ):
        assert ignored(ROOT / secret), secret
    for name in BUILDS:
        for copy in built(name).copies:
            for source in copy.sources:
                assert copy.origin or ((ROOT / source).exists() and not ignored(ROOT / source / "x"))


def test_the_parser_reads_arguments_and_stages(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text(
        'ARG WHAT=one\n# a comment\nFROM base:1.2.3 AS one\nENV A=1 \\\n    B="two words"\nUSER 5:5\n'
        'FROM ${WHAT} AS last\nCOPY --from=one /a /b\nCMD ["run", "it"]\n'
    )
    found = image("last", {}, file)
    assert (found.base, found.user, found.command) == ("base:1.2.3", "5:5", ["run", "it"])
    assert found.environment == {"A": "1", "B": "two words"}
    assert found.copies[0].origin == "one"
