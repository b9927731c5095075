from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import Result

from local_stack.ports import free_port
from tests.fakes.scripted_inference import INPUTS, VERSION
from tests.unit.cli.command import run
from tests.unit.cli.fake_service import FakeService

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def inference(service: FakeService) -> FakeService:
    """A server of one model, toy, that answers one prediction whatever it is asked."""
    service.answers |= {
        "POST /v2/repository/index": (200, [{"name": "toy", "version": VERSION, "state": "READY"}]),
        "GET /v2/models/toy": (200, {"name": "toy", "versions": [VERSION], "inputs": INPUTS[:1]}),
        "POST /predict": (
            200,
            {"model": "toy", "version": VERSION, "generation": 1, "predictions": [{"prediction_id": "p"}]},
        ),
        "POST /outcomes": (202, {"accepted": 1}),
    }
    return service


def write(path: Path, *hours: int, **changed: Any) -> str:
    columns: dict[str, Any] = {
        "event_time": pa.array([NOON + timedelta(hours=hour) for hour in hours], pa.timestamp("us", "UTC")),
        "amount": [float(hour) for hour in hours],
        "outcome": [1.0] * len(hours),
    }
    kept = {name: column for name, column in (columns | changed).items() if column is not None}
    pq.write_table(pa.table(kept), path / "history.parquet")
    return str(path / "history.parquet")


def replay(inference: FakeService, file: str, *options: str) -> Result:
    return run("replay", file, "--delay", "1h", "--inference-url", inference.url, *options)


def drift_from(
    service: FakeService, hour: float | None, generation: int = 2, watermark: float | None = None
) -> tuple[str, str]:
    """Drift answers that its next window starts at that hour, and its watermark. Returns the option with its address."""
    start, newest = (
        None if each is None else (NOON + timedelta(hours=each)).isoformat() for each in (hour, watermark)
    )
    status = {"model": "toy", "generation": generation, "next_window_start": start, "watermark": newest}
    service.answers["GET /status"] = (200, {"models": [{"model": "other"}, status]})
    return "--drift-url", service.url


def posted(inference: FakeService, path: str) -> list[Any]:
    return [body for asked, body in inference.asked if asked == f"POST {path}"]


def test_history_is_sent_and_counted(inference: FakeService, tmp_path: Path) -> None:
    done = replay(inference, write(tmp_path, 0, 1))
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("toy: 2 rows, 2 answered, 0 refused, 2 outcomes, ")
    assert done.stdout.endswith(" rows per second\n")
    assert [body["rows"] for body in posted(inference, "/predict")] == [[{"amount": 0.0}], [{"amount": 1.0}]]


def test_document_has_the_numbers(inference: FakeService, tmp_path: Path) -> None:
    done = replay(inference, write(tmp_path, 0, 1, 2), "--json", "--limit", "2")
    document = orjson.loads(done.stdout)
    assert (document["model"], document["rows"], document["answered"], document["outcomes"]) == (
        "toy",
        2,
        2,
        2,
    )


def test_refused_row_gives_exit_code_1_and_its_reason(inference: FakeService, tmp_path: Path) -> None:
    file = write(tmp_path, 0, 1, amount=["much", "more"])
    done = replay(inference, file)
    assert done.exit_code == 1
    assert "2 rows, 0 answered, 2 refused" in done.stdout
    assert (
        "row 1 of 2026-03-01T13:00:00+00:00 refused: feature amount of row 1 is 'more'; expected a"
        in done.stderr
    )


def test_rows_without_a_verdict_are_a_warning(inference: FakeService, tmp_path: Path) -> None:
    file = write(tmp_path, 0, 1, 2, 3)
    drift = drift_from(inference, 1.5)
    done = replay(inference, file, *drift)
    assert done.exit_code == 0
    assert done.stderr.splitlines()[0] == (
        f"warning: 2 of the 4 rows of {file} will get no verdict: drift evaluates generation 2 of toy from "
        "2026-03-01T13:30:00Z on, "
        "because newer rows were logged before. They are logged, and used for training. For verdicts on complete windows, "
        "deploy the model under another name (model in loop.yaml), or into another home, and replay before its first live "
        "prediction"
    )
    document = orjson.loads(replay(inference, file, *drift, "--json", "--limit", "1").stdout)
    assert [warning.split(" of ")[0] for warning in document["warnings"]] == ["every row"]
    assert "4 rows" in replay(inference, file, *drift).stdout


@pytest.mark.parametrize("hour", [None, 0])
def test_rows_older_than_logged_ones_are_a_warning(
    inference: FakeService, tmp_path: Path, hour: float | None
) -> None:
    """An earlier version has logged newer rows, so drift does not wait for the outcomes of these."""
    file = write(tmp_path, 0, 1, 2, 3)
    done = replay(inference, file, *drift_from(inference, hour, watermark=2.5))
    assert done.exit_code == 0
    assert done.stderr.startswith(
        f"warning: the windows of 3 of the 4 rows of {file} may be evaluated before all of their rows and outcomes have arrived: "
        "toy has logged rows up to 2026-03-01T14:30:00Z"
    )


@pytest.mark.parametrize(("hour", "watermark"), [(0, None), (None, None), (None, 0), (0, -3)])
def test_rows_that_get_verdicts_are_no_warning(
    inference: FakeService, tmp_path: Path, hour: float | None, watermark: float | None
) -> None:
    done = replay(inference, write(tmp_path, 0, 1), *drift_from(inference, hour, watermark=watermark))
    assert done.exit_code == 0
    assert "warning" not in done.stderr


def test_unreachable_drift_is_a_note(inference: FakeService, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = replay(inference, write(tmp_path, 0), "--drift-url", url)
    assert done.exit_code == 0
    assert "drift cannot be reached" in done.stderr
    assert "so it is not known whether these rows will be evaluated" in done.stderr


def test_drift_of_an_unknown_stack_is_not_asked(
    inference: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drift_from(inference, 9)
    monkeypatch.setenv("HOMEOSTAT_DRIFT_PORT", inference.url.rpartition(":")[2])
    replay(inference, write(tmp_path, 0))
    assert "GET /status" not in [asked for asked, _ in inference.asked]


def test_unordered_file_is_noted(inference: FakeService, tmp_path: Path) -> None:
    done = replay(inference, write(tmp_path, 1, 0))
    assert "history.parquet is not in order of event_time; sorting its 2 rows in memory" in done.stderr
    assert [body["rows"][0]["amount"] for body in posted(inference, "/predict")] == [0.0, 1.0]


def test_file_without_outcomes_sends_none(inference: FakeService, tmp_path: Path) -> None:
    file = write(tmp_path, 0, outcome=None)
    done = replay(inference, file)
    assert done.exit_code == 0
    assert "no outcomes are sent" in done.stderr
    assert posted(inference, "/outcomes") == []
    named = replay(inference, file, "--outcome-column", "late")
    assert named.exit_code == 4
    assert "has no column late" in named.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--speed", "fast"), "--speed is 'fast'; expected a number above 0, or max"),
        (("--speed", "-1"), "--speed is '-1'"),
        (("--delay", "soon"), "--delay is 'soon'; expected a number and a unit"),
    ],
)
def test_wrong_option_is_refused(
    inference: FakeService, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    done = replay(inference, write(tmp_path, 0), *options)
    assert done.exit_code == 3
    assert words in done.stderr
    assert inference.asked == []


def test_server_that_fails_is_an_error_after_the_numbers(inference: FakeService, tmp_path: Path) -> None:
    inference.answers["POST /predict"] = (500, {"error": "internal error", "error_id": "e1"})
    done = replay(inference, write(tmp_path, 0))
    assert done.exit_code == 5
    assert done.stdout.startswith("toy: 0 rows, 0 answered")
    assert "e1" in done.stderr
    document = orjson.loads(replay(inference, write(tmp_path, 0), "--json").stdout)
    assert "e1" in document["error"]


def test_unreachable_server_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.replay.command.START_S", 0.2)
    done = run("replay", write(tmp_path, 0), "--delay", "1h", "--inference-url", "http://127.0.0.1:9")
    assert done.exit_code == 5
    assert "inference cannot be reached at http://127.0.0.1:9" in done.stderr


def with_kind(inference: FakeService, **parameters: str) -> None:
    _, about = inference.answers["GET /v2/models/toy"]
    about = about | {"outputs": [{"name": "score", "parameters": parameters}]}
    inference.answers["GET /v2/models/toy"] = (200, about)


def test_a_column_without_one_outcome_of_the_model_is_refused_before_the_first_row(
    inference: FakeService, tmp_path: Path
) -> None:
    with_kind(inference, kind="probability")
    file = write(tmp_path, 1, 2, label=["complaint", "ok"])
    refused = replay(inference, file, "--outcome-column", "label")
    assert refused.exit_code == 4
    assert "column label of" in refused.stderr
    assert "has 'complaint'; the outcomes of toy are 0 or 1, so nothing was sent" in " ".join(
        refused.stderr.split()
    )
    assert not posted(inference, "/predict")


def test_a_kind_without_a_loss_is_sent_no_outcomes(inference: FakeService, tmp_path: Path) -> None:
    with_kind(inference, kind="embedding")
    done = replay(inference, write(tmp_path, 1, 2))
    assert done.exit_code == 0
    assert "predictions of kind embedding have no outcomes, so none are sent" in " ".join(done.stderr.split())
    assert not posted(inference, "/outcomes")
