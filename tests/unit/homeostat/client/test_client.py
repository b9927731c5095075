from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from homeostat import (
    AnswerLost,
    Client,
    HomeostatError,
    InvalidRequest,
    OutcomeBufferFull,
    OutcomesNotSent,
    OutcomesRefused,
    RequestRefused,
    ServerFailed,
    ServerUnavailable,
)
from tests.fakes.scripted_inference import (
    VERSION,
    ScriptedInference,
    proxy_says,
    refused_connection,
    unavailable,
)
from tests.waiting import eventually

ROW = {"amount": 1.5, "count": 2, "member": True, "colour": "red"}


def client(server: ScriptedInference, **options: Any) -> Client:
    # Large limits: a test that wants the background to send says so.
    quiet = {"flush_at": 1000, "flush_after_s": 1000.0, "retry_s": 5.0}
    return Client("http://server", transport=httpx.MockTransport(server.answer), **(quiet | options))


def sent_values(server: ScriptedInference) -> list[Any]:
    return [outcome["value"] for outcome in server.outcomes]


def test_prediction_has_id_score_version_and_generation(server: ScriptedInference) -> None:
    with client(server) as ours:
        answered = ours.predict(ROW)
    [first] = answered
    assert (first.prediction_id, first.score, first.model) == ("id0", 0.5, "toy")
    assert (first.version, first.generation) == (VERSION, 3)
    assert server.logged == [ROW]
    assert server.event_times == [None]


def test_model_and_inputs_are_read_once(server: ScriptedInference) -> None:
    with client(server) as ours:
        ours.predict(ROW)
        ours.predict([ROW, ROW])
    assert server.asked == [
        "POST /v2/repository/index",
        "GET /v2/models/toy",
        "POST /predict",
        "POST /predict",
    ]


def test_key_decides_about_the_canary_whose_answers_read_no_inputs_again(server: ScriptedInference) -> None:
    server.canary_keys = {"customer-7"}
    with client(server) as ours:
        slots = [ours.predict(ROW, key=key).slot for key in ("customer-7", "customer-8", None, "customer-7")]
    assert slots == ["canary", "live", "live", "canary"]
    assert server.asked.count("GET /v2/models/toy") == 1


def test_model_must_be_named_among_several(server: ScriptedInference) -> None:
    server.models = ["toy", "parcels"]
    with client(server) as ours:
        with pytest.raises(HomeostatError, match="serves 2 models.*parcels, toy"):
            ours.predict(ROW)
        assert ours.predict(ROW, model="parcels").model == "parcels"


def test_data_frame_is_sent_as_plain_values(server: ScriptedInference) -> None:
    frame = pd.DataFrame(
        {
            "amount": np.array([1.5, np.nan], np.float32),
            "count": [2.0, 3.0],
            "member": np.array([True, False]),
            "colour": pd.Categorical(["red", "green"]),
        }
    )
    with client(server) as ours:
        answered = ours.predict(frame, event_time=pd.Timestamp("2026-03-01 12:00", tz="Europe/Berlin"))
    assert answered.column("prediction_id") == ["id0", "id1"]
    assert server.logged == [ROW, {"amount": None, "count": 3, "member": False, "colour": "green"}]
    assert server.event_times == ["2026-03-01T12:00:00.000000+01:00"]


def test_wrong_row_is_refused_before_it_is_sent(server: ScriptedInference) -> None:
    with client(server, model="toy") as ours:
        with pytest.raises(InvalidRequest, match="colour of row 1 is 'blue'; expected one of red, green"):
            ours.predict([ROW, {**ROW, "colour": "blue"}])
    assert server.logged == []


def test_inputs_of_a_new_version_are_read_before_refusing(
    server: ScriptedInference, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client(server) as ours:
        ours.predict(ROW)
        server.inputs = server.inputs[:3]
        monkeypatch.setattr("homeostat.client.known_inputs._FRESH_S", 0.0)
        ours.predict({name: value for name, value in ROW.items() if name != "colour"})
    assert server.asked.count("GET /v2/models/toy") == 2


def test_another_version_in_the_answer_renews_the_inputs(server: ScriptedInference) -> None:
    with client(server) as ours:
        ours.predict(ROW)
        server.version = "cd" * 32
        ours.predict(ROW)
        ours.predict(ROW)
    assert server.asked.count("GET /v2/models/toy") == 2


def test_prediction_is_retried_if_it_was_not_answered(server: ScriptedInference) -> None:
    server.script = [refused_connection, unavailable, partial(unavailable, after="0.3")]
    began = time.monotonic()
    with client(server) as ours:
        ours.predict(ROW)
    assert len(server.logged) == 1
    assert server.asked.count("POST /predict") == 4
    assert time.monotonic() - began >= 0.3


def test_lost_answer_is_not_repeated(server: ScriptedInference) -> None:
    server.script = [server.lose_answer]
    with client(server) as ours, pytest.raises(AnswerLost, match="connection reset"):
        ours.predict(ROW)
    assert len(server.logged) == 1
    assert server.asked.count("POST /predict") == 1


@pytest.mark.parametrize("kind", [httpx.WriteError, httpx.RemoteProtocolError])
def test_prediction_that_may_have_arrived_is_not_repeated(
    server: ScriptedInference, kind: type[httpx.RequestError]
) -> None:
    """The server may have the whole request where writing its end fails, or where it closes before its answer."""

    def breaks(request: httpx.Request) -> httpx.Response:
        server.usual_answer(request)
        raise kind("connection reset", request=request)

    server.script = [breaks]
    with client(server) as ours, pytest.raises(AnswerLost, match="connection reset"):
        ours.predict(ROW)
    assert len(server.logged) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_status_of_a_proxy_is_not_repeated(server: ScriptedInference, status: int) -> None:
    server.script = [proxy_says(status)]
    with client(server) as ours, pytest.raises(AnswerLost, match=str(status)):
        ours.predict(ROW)
    assert server.asked.count("POST /predict") == 1


def test_outage_ends_with_the_time_for_retries(server: ScriptedInference) -> None:
    server.unreachable = True
    began = time.monotonic()
    with client(server, model="toy", retry_s=0.5) as ours:
        with pytest.raises(ServerUnavailable, match="cannot be reached at http://server.*homeostat up"):
            ours.predict(ROW)
    assert 2 <= server.asked.count("GET /v2/models/toy") <= 10
    assert time.monotonic() - began < 3


def test_errors_have_the_server_fields(server: ScriptedInference) -> None:
    server.script = [
        lambda request: httpx.Response(
            422,
            json={"error": "no", "hint": "do", "field": "count", "expected": "more", "row": 1},
        ),
        lambda request: httpx.Response(500, json={"error": "internal error", "error_id": "e1"}),
    ]
    with client(server) as ours:
        with pytest.raises(RequestRefused) as refused:
            ours.predict(ROW)
        with pytest.raises(ServerFailed, match="e1") as failed:
            ours.predict(ROW)
    error = refused.value
    assert (error.error, error.hint, error.field, error.expected, error.row) == (
        "no",
        "do",
        "count",
        "more",
        1,
    )
    assert (failed.value.error_id, failed.value.status) == ("e1", 500)


def test_too_many_rows_are_refused_with_limit_and_hint(server: ScriptedInference) -> None:
    refusal = {
        "error": "`rows` has 10001 rows",
        "expected": "at most 10000 rows in one request",
        "field": "rows",
    }
    server.script = [lambda request: httpx.Response(413, json=refusal)]
    with client(server) as ours, pytest.raises(RequestRefused) as refused:
        ours.predict([ROW] * 10_001)
    assert refused.value.message == "`rows` has 10001 rows; expected at most 10000 rows in one request"
    assert refused.value.hint.startswith(
        "call predict for parts of the rows, such as frame[start : start + 5000]"
    )
    assert server.logged == []


def test_outcomes_wait_until_there_are_enough(server: ScriptedInference) -> None:
    with client(server, flush_at=3) as ours:
        ours.outcome("a", 1)
        ours.outcome("b", np.float64(0.5))
        time.sleep(0.2)
        assert server.outcomes == []
        ours.outcome("c", True)
        eventually(lambda: len(server.outcomes) == 3, "the outcomes are sent")
    assert sent_values(server) == [1, 0.5, 1]
    assert server.asked == ["POST /outcomes"]


def test_outcomes_are_sent_when_old_enough(server: ScriptedInference) -> None:
    with client(server, flush_after_s=0.1) as ours:
        ours.outcome("a", "dog")
        eventually(lambda: sent_values(server) == ["dog"], "the outcome is sent")


def test_close_sends_what_is_left(server: ScriptedInference) -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    with client(server) as ours:
        ours.outcomes([("a", 1.0, moment), {"prediction_id": "b", "value": 0.0}])
    assert server.outcomes[0] == {
        "prediction_id": "a",
        "value": 1.0,
        "observed_at": "2026-03-01T00:00:00.000000+00:00",
    }
    assert datetime.fromisoformat(server.outcomes[1]["observed_at"]).tzinfo is not None
    with pytest.raises(RuntimeError, match="closed"):
        ours.outcome("c", 1)


@pytest.mark.parametrize("value", [[1.5, 3.0], np.array([1.5, 3.0]), pd.Series({"low": 1.5, "high": 3.0})])
def test_list_as_an_outcome_gets_a_hint(server: ScriptedInference, value: Any) -> None:
    with client(server) as ours, pytest.raises(InvalidRequest) as raised:
        ours.outcome("a", value)
    assert raised.value.message == "`value` of prediction a is [1.5, 3.0]"
    assert raised.value.hint == (
        'pass several values by name, such as {"low": 1.5, "high": 3.0}; from a data frame: row[["low", "high"]].to_dict()'
    )
    with client(server) as ours, pytest.raises(InvalidRequest, match="is missing") as raised:
        ours.outcome("a", None)
    assert raised.value.hint == "send an outcome when it is known"


def test_outcomes_survive_an_outage(server: ScriptedInference) -> None:
    server.unreachable = True
    with client(server, flush_at=1) as ours:
        ours.outcome("a", 1)
        eventually(lambda: len(server.asked) >= 2, "the client tries again")
        assert ours.outcome_counts.waiting == 1
        server.unreachable = False
        eventually(lambda: ours.outcome_counts.accepted == 1, "the outcome is sent")
    assert sent_values(server) == [1]


def test_outcomes_are_repeated_after_a_lost_answer(server: ScriptedInference) -> None:
    server.script = [server.lose_answer, proxy_says(502)]
    with client(server) as ours:
        ours.outcome("a", 1)
    assert sent_values(server) == [1, 1]  # the lake keeps one


def test_full_buffer_is_an_error_and_keeps_the_rest(server: ScriptedInference) -> None:
    server.unreachable = True
    ours = client(server, buffer_size=2, retry_s=0.3)
    with pytest.raises(OutcomeBufferFull, match="holds 2 outcomes.*cannot be reached") as full:
        ours.outcomes([("a", 1), ("b", 2), ("c", 3)])
    assert full.value.taken == 2
    server.unreachable = False
    ours.close()
    assert sent_values(server) == [1, 2]


def test_full_buffer_waits_for_space(server: ScriptedInference) -> None:
    with client(server, buffer_size=2, flush_at=2) as ours:
        ours.outcomes((f"p{number}", number) for number in range(7))
    assert sent_values(server) == list(range(7))


def test_close_returns_what_could_not_be_sent(server: ScriptedInference) -> None:
    server.unreachable = True
    ours = client(server, retry_s=0.3)
    ours.outcome("a", 1)
    with pytest.raises(OutcomesNotSent, match="1 outcomes were not sent") as left:
        ours.close()
    assert [outcome.prediction_id for outcome in left.value.outcomes] == ["a"]


def test_error_of_the_block_is_not_hidden_by_close(server: ScriptedInference) -> None:
    server.unreachable = True

    def work() -> None:
        with client(server, retry_s=0.3) as ours:
            ours.outcome("a", 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as raised:
        work()
    assert "1 outcomes were not sent" in raised.value.__notes__[0]


def test_refused_outcome_does_not_hold_the_others(server: ScriptedInference) -> None:
    server.unknown_ids = {"b"}
    ours = client(server)
    ours.outcomes([("a", 1), ("b", 2), ("c", 3)])
    with pytest.raises(OutcomesRefused, match="refused 1 outcome, first that of prediction b") as refused:
        ours.flush()
    assert [one.outcome.prediction_id for one in refused.value.refused] == ["b"]
    assert sent_values(server) == [1, 3]
    ours.close()
    counts = ours.outcome_counts
    assert (counts.accepted, counts.refused, counts.waiting) == (2, 1, 0)


def test_a_refusal_of_all_outcomes_is_not_logged_for_each(
    server: ScriptedInference, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Libraries that configure logging, as alembic does, switch off the loggers that exist.
    for name, value in (("disabled", False), ("propagate", True)):
        monkeypatch.setattr(logging.getLogger("homeostat.client"), name, value)
    caplog.set_level(logging.WARNING, logger="homeostat.client")
    ids = [f"id-{number}" for number in range(20)]
    server.unknown_ids = set(ids)
    ours = client(server)
    ours.outcomes([(one, 1) for one in ids])
    with pytest.raises(OutcomesRefused, match="refused 20 outcomes"):
        ours.close()
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(" refused:")[0] for line in lines[:5]] == [
        f"outcome of prediction {one}" for one in ids[:5]
    ]
    assert lines[5:] == [
        "more outcomes are refused; `flush` and `close` raise OutcomesRefused, which has them"
    ]


def test_outcome_of_a_model_not_loaded_does_not_hold_the_others(server: ScriptedInference) -> None:
    server.early_ids = {"b", "d"}
    with client(server, flush_at=4, flush_after_s=0.05) as ours:
        ours.outcomes([("a", 1), ("b", 2), ("c", 3), ("d", 4)])
        eventually(lambda: sent_values(server) == [1, 3], "the others are sent")
        ours.outcome("e", 5)
        eventually(lambda: sent_values(server) == [1, 3, 5], "later ones are sent")
        assert ours.outcome_counts.waiting == 2
        server.early_ids = {"b"}
        eventually(
            lambda: sent_values(server) == [1, 3, 5, 4], "the model that is loaded now gets its outcome"
        )
        server.early_ids = set()
        eventually(lambda: ours.outcome_counts.waiting == 0, "the last is sent")
    assert sent_values(server) == [1, 3, 5, 4, 2]


def test_close_returns_only_what_cannot_be_taken(server: ScriptedInference) -> None:
    server.early_ids = {"b"}
    ours = client(server, retry_s=0.3)
    ours.outcomes([("a", 1), ("b", 2), ("c", 3)])
    with pytest.raises(OutcomesNotSent, match="1 outcomes were not sent: model slow is not loaded") as left:
        ours.close()
    assert [outcome.prediction_id for outcome in left.value.outcomes] == ["b"]
    assert sent_values(server) == [1, 3]


def test_requests_shrink_to_what_the_server_takes(server: ScriptedInference) -> None:
    server.max_outcomes = 3
    with client(server) as ours:
        ours.outcomes((f"p{number}", number) for number in range(8))
    assert sent_values(server) == list(range(8))


def test_refusal_without_a_row_keeps_the_outcomes(server: ScriptedInference) -> None:
    server.script = [proxy_says(401)]
    ours = client(server)
    ours.outcome("a", 1)
    with pytest.raises(OutcomesNotSent, match="401"):
        ours.flush()
    ours.close()
    assert sent_values(server) == [1]


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), [1]])
def test_outcome_without_a_value_is_refused_at_once(server: ScriptedInference, value: Any) -> None:
    with client(server) as ours, pytest.raises(InvalidRequest, match="`value` of prediction a"):
        ours.outcome("a", value)
    assert server.asked == []


def test_close_ends_the_thread(server: ScriptedInference) -> None:
    with client(server) as ours:
        ours.outcome("a", 1)
        assert "homeostat-outcomes" in [thread.name for thread in threading.enumerate()]
    eventually(
        lambda: "homeostat-outcomes" not in [thread.name for thread in threading.enumerate()],
        "the thread has ended",
    )


def test_wrong_url_is_refused() -> None:
    with pytest.raises(HomeostatError, match="expected http://"):
        Client("localhost:8000")


def test_client_imports_nothing_heavy() -> None:
    heavy = ("numpy", "pandas", "pyarrow", "pydantic", "onnx", "services", "homeostat.model_export")
    program = f"import sys; from homeostat import Client, AsyncClient; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=dict(os.environ)
    )
    assert done.stdout == "[]\n", done.stderr


def test_outcome_of_several_values_is_a_dictionary(server: ScriptedInference) -> None:
    with client(server) as ours:
        ours.outcome("a", {"low": np.float32(1.5), "high": 2})
        for value in ({}, {"low": None}, {"low": float("nan")}, {"low": True}, {"low": [1.0]}, {1: 2.0}):
            with pytest.raises(InvalidRequest, match="a dictionary of finite numbers by name|`value`"):
                ours.outcome("b", value)
        ours.flush()
    assert sent_values(server) == [{"low": 1.5, "high": 2}]
