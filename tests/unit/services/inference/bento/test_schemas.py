from __future__ import annotations

import asyncio
import json
from typing import Any, get_args

import pytest
from starlette.requests import Request

from services.inference.bento.schemas import (
    TASK_REPORT,
    OutcomesRequest,
    PredictRequest,
    PredictResponse,
)
from services.inference.tasks.record import FileOptions, TaskRecord, TaskStatus
from shared.contracts.loop_spec import LoopSpec
from tests.fakes.class_model import serving_classes
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ROW, ToyStore
from tests.fakes.vector_model import embedding_loop, serving, values_loop


def checks(document: object) -> None:
    # Its import takes seconds, and every worker reads this file.
    from jsonschema import Draft202012Validator

    Draft202012Validator(PredictResponse.model_json_schema()).validate(document)


def test_score_is_as_described(toys: ToyStore) -> None:
    toys.put_and_release(0.5)
    checks(InferenceServer(toys).predict(ROW).json())


def test_answer_with_a_label_is_as_described(toys: ToyStore) -> None:
    checks(serving_classes(toys).predict({"line": 1}).json())


@pytest.mark.parametrize("loop", [values_loop(), embedding_loop()], ids=["values", "embedding"])
def test_answer_with_numbers_is_as_described(toys: ToyStore, loop: LoopSpec) -> None:
    checks(serving(toys, loop).predict({"line": 1}).json())


def test_answer_of_two_kinds_is_against_the_description() -> None:
    from jsonschema import ValidationError

    answer = {"prediction_id": "a", "score": 1.0, "values": {}}
    with pytest.raises(ValidationError):
        checks({"model": "m", "version": "v", "generation": 1, "predictions": [answer]})


def test_client_sends_given_fields_only() -> None:
    sent = PredictRequest.from_inputs([ROW], model="toy").model_dump_json()
    assert json.loads(sent) == {"rows": [ROW], "model": "toy"}
    assert json.loads(OutcomesRequest.from_inputs(outcomes=[]).model_dump_json()) == {"outcomes": []}


def test_request_is_passed_on_unread() -> None:
    async def receive() -> dict[str, object]:
        raise AssertionError("the body was read")

    async def parse() -> Any:
        return await PredictRequest.from_http_request(Request({"type": "http"}, receive), None)

    unread = asyncio.run(parse())
    assert {name: getattr(unread, name) for name in unread.model_fields} == {"request": unread}
    assert unread.receive is receive


def test_task_reports_are_as_described() -> None:
    record = TaskRecord("a" * 32, "2026-01-01T00:00:00+00:00", FileOptions())
    assert set(record.report()) < set(TASK_REPORT.properties)
    assert set(TASK_REPORT.properties["status"]["enum"]) == set(get_args(TaskStatus))
