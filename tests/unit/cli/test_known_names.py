"""A name that no service knows: the error lists the known ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from tests.unit.cli.fake_service import FakeService, fake_service

MODELS = [{"name": "parcels", "version": "ab" * 32}, {"name": "flights", "version": "cd" * 32}]


@pytest.fixture
def service() -> Iterator[FakeService]:
    with fake_service() as fake:
        fake.answers["GET /status.json"] = (200, {"models": MODELS})
        fake.answers["GET /models/flihgts/releases"] = (200, {"releases": []})
        fake.answers["GET /runs"] = (200, {"runs": [{"run_id": "run-2"}, {"run_id": "run-1"}]})
        fake.answers["GET /decisions"] = (
            200,
            {"decisions": [{"cause_key": "ab" * 16}, {"cause_key": "ab" * 16}]},
        )
        fake.answers["GET /verdicts"] = (200, {"verdicts": [{"verdict_id": "c0ffee"}]})
        yield fake


def run(service: FakeService, home: Path, *words: str) -> Result:
    names = ("INFERENCE", "RETRAINING", "DRIFT")
    environment = {f"HOMEOSTAT_{name}_URL": service.url for name in names} | {"HOMEOSTAT_HOME": str(home)}
    return CliRunner().invoke(app, list(words), env=environment)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["releases", "flihgts"], "known models: flights, parcels"),
        (["rollback", "flihgts"], "known models: flights, parcels"),
        (["report", "--open", "unknown"], "newest verdicts: c0ffee"),
        (["why", "run-3"], "newest runs: run-2, run-1"),
        (["why", "0123456789ab"], f"served versions: {'ab' * 6}, {'cd' * 6}"),
        (["approve", "run-3"], "runs waiting for approval: run-2, run-1"),
        (["reject", "run-3"], "runs waiting for approval: run-2, run-1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_unknown_name_lists_known_names(
    service: FakeService, tmp_path: Path, words: list[str], hint: str
) -> None:
    done = run(service, tmp_path, *words)
    assert done.exit_code == 3, done.output
    assert f"hint: {hint}" in done.stderr.splitlines()


def test_report_of_unknown_model_lists_models(service: FakeService, tmp_path: Path) -> None:
    service.answers["GET /verdicts"] = (200, {"verdicts": []})
    done = run(service, tmp_path, "report", "flihgts")
    assert done.exit_code == 3
    assert "hint: known models: flights, parcels" in done.stderr
    assert run(service, tmp_path, "report", "flights").exit_code == 0


@pytest.mark.parametrize("name", ["01" * 16, "v" * 32])
def test_unknown_prediction_names_the_searched_lake(service: FakeService, tmp_path: Path, name: str) -> None:
    done = run(service, tmp_path, "why", name)
    assert done.exit_code == 3, done.output
    causes = f"newest causes: {'ab' * 16}; " if name.startswith("01") else ""
    assert (
        f"hint: {causes}predictions were looked up in the lake of retraining at {service.url}; a new one reaches it "
        "within seconds, for one of another stack give that stack's --home or --retraining-url"
    ) in done.stderr.splitlines()


@pytest.mark.parametrize("name", ["c3f1a2b4-0d5e-4f6a-8b7c-9d0e1f2a3b4c", "0123456", "parcels"])
def test_name_of_no_form_is_not_looked_up(service: FakeService, tmp_path: Path, name: str) -> None:
    done = run(service, tmp_path, "why", name)
    assert done.exit_code == 3, done.output
    assert f"{name} is not a prediction id, version, run id or cause key" in done.stderr
    assert "hint: a prediction id has 32 characters" in done.stderr
    assert service.asked == []


def test_runs_of_unknown_model_list_models(service: FakeService, tmp_path: Path) -> None:
    service.answers["GET /runs"] = (200, {"runs": []})
    done = run(service, tmp_path, "runs", "--model", "flihgts")
    assert done.exit_code == 3
    assert "hint: known models: flights, parcels" in done.stderr
    assert run(service, tmp_path, "runs", "--model", "flights").exit_code == 0


def test_rollback_of_unknown_model_sends_no_rollback(service: FakeService, tmp_path: Path) -> None:
    run(service, tmp_path, "rollback", "flihgts")
    assert not [request for request, _ in service.asked if request.startswith("POST")]


def test_hint_names_the_command_if_no_run_is_known(service: FakeService, tmp_path: Path) -> None:
    service.answers["GET /runs"] = (200, {"runs": []})
    service.answers["POST /runs/run-3/approve"] = (
        404,
        {"error": "there is no run run-3", "hint": "GET /runs lists them"},
    )
    done = run(service, tmp_path, "approve", "run-3")
    assert "hint: `homeostat runs` lists the runs" in done.stderr
