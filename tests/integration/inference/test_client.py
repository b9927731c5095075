"""The client against a real server: answers, refusals, and a swap of versions."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from homeostat import AsyncClient, Client, InvalidRequest, OutcomesRefused, Prediction
from shared.spool.record import OutcomeRecord, PredictionRecord
from tests.fakes.toy_model import ROW, ToyStore
from tests.integration.inference.conftest import InferenceProcess, spooled

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def predictions_logged(server: InferenceProcess) -> int:
    records = [record for record in spooled(server.home) if isinstance(record, PredictionRecord)]
    return sum(len(record.prediction_ids) for record in records)


def outcomes_logged(server: InferenceProcess) -> dict[str, float | None]:
    records = [record for record in spooled(server.home) if isinstance(record, OutcomeRecord)]
    return {
        identity: value
        for record in records
        for identity, value in zip(record.prediction_ids, record.values, strict=True)
    }


def test_answers_and_outcomes_are_logged_once(server: InferenceProcess, toys: ToyStore) -> None:
    release = toys.put_and_release(0.25)
    server.wait_served(release.version)
    with Client(server.url, "toy") as client:
        found = client.predict([ROW, {**ROW, "amount": None}], event_time=MOMENT)
        client.outcome(found[0].prediction_id, 1.5, MOMENT)
    assert [(one.score, one.version, one.generation) for one in found] == [(0.25, release.version, 1)] * 2
    assert predictions_logged(server) == 2
    assert outcomes_logged(server) == {found[0].prediction_id: 1.5}


def test_wrong_row_and_unknown_id_are_named(server: InferenceProcess) -> None:
    before = predictions_logged(server)
    with Client(server.url, "toy") as client:
        with pytest.raises(InvalidRequest, match="colour of row 1 is 'blue'; expected one of red, green"):
            client.predict([ROW, {**ROW, "colour": "blue"}])
        [answer] = client.predict(ROW)
        client.outcomes([("unknown", 1.0), (answer.prediction_id, 2.0)])
        with pytest.raises(OutcomesRefused, match="names no prediction of this installation"):
            client.flush()
    assert predictions_logged(server) == before + 1
    assert outcomes_logged(server)[answer.prediction_id] == 2.0


def test_async_client_follows_a_swap(server: InferenceProcess, toys: ToyStore) -> None:
    async def ask() -> tuple[Prediction, Prediction]:
        async with AsyncClient(server.url) as client:
            [first] = await client.predict(ROW)
            release = toys.put_and_release(0.75)
            await asyncio.to_thread(server.wait_served, release.version)
            [second] = await client.predict(ROW)
            await client.outcome(second.prediction_id, 3.0)
        return first, second

    first, second = asyncio.run(ask())
    assert (first.score, second.score) == (0.25, 0.75)
    assert second.generation == first.generation + 1
    assert outcomes_logged(server)[second.prediction_id] == 3.0
