"""The client for programs with asyncio."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import httpx

from homeostat.client.async_outcome_sender import AsyncOutcomeSender
from homeostat.client.client import RETRY_S, TIMEOUT_S
from homeostat.client.credentials import headers_with_key, key_from_file
from homeostat.client.encryption import Name, verification
from homeostat.client.exchange import (
    MODELS,
    Call,
    checked_url,
    failure_of_response,
    failure_of_transport,
    json_of,
    metadata_call,
    only_model,
    predict_call,
)
from homeostat.client.inputs import ModelInputs
from homeostat.client.known_inputs import KnownInputs
from homeostat.client.outcome_delivery import BufferSettings, OutcomeDelivery
from homeostat.client.outcomes import OutcomeCounts, make_outcome, make_outcomes
from homeostat.client.plain_values import time_text
from homeostat.client.predictions import Predictions
from homeostat.client.retry import Attempts, Failure
from homeostat.client.rows import to_rows
from shared.errors import HomeostatError, InvalidRequest


class AsyncClient:
    """As `Client`, for one event loop: its methods are coroutines, and `aclose` or `async with` closes it."""

    def __init__(
        self,
        url: str = "http://localhost:8000",
        model: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        retry_s: float = RETRY_S,
        buffer_size: int = BufferSettings.size,
        flush_at: int = BufferSettings.flush_at,
        flush_after_s: float = BufferSettings.flush_after_s,
        headers: Mapping[str, str] | None = None,
        api_key: str | None = None,
        ca: Name = None,
        certificate: Name = None,
        key: Name = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Sends nothing yet. The parameters are those of `Client`."""
        self._url = checked_url(url)
        self._model = model
        self._retry_s = retry_s
        self._known = KnownInputs()
        self._http = httpx.AsyncClient(
            base_url=self._url,
            timeout=timeout_s,
            headers=headers_with_key(headers, api_key),
            auth=key_from_file(headers, api_key),
            transport=transport,
            trust_env=False,
            verify=verification(self._url, ca, certificate, key),
        )
        settings = BufferSettings(buffer_size, flush_at, flush_after_s)
        self._outcomes = AsyncOutcomeSender(OutcomeDelivery(settings), self._try, retry_s=retry_s)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.aclose()
        except HomeostatError as problem:
            if error is None:
                raise
            error.add_note(f"closing the client failed, too: {problem}")  # the first error is the cause

    async def predict(
        self, rows: Any, *, model: str | None = None, event_time: Any = None, key: str | None = None
    ) -> Predictions:
        """As `Client.predict`."""
        name = await self._name(model)
        given, moment = to_rows(rows), time_text(event_time, field="event_time")
        try:
            converted = (await self.inputs(name)).convert(given)
        except InvalidRequest:
            if self._known.is_fresh(name, _now()):
                raise
            self._known.forget(name)
            converted = (await self.inputs(name)).convert(given)
        reply = Predictions.from_reply(await self._json(predict_call(name, converted, moment, key)))
        if reply.slot == "live":  # the inputs are those of the live version
            self._known.answered_by(name, reply.version)
        return reply

    async def inputs(self, model: str | None = None) -> ModelInputs:
        """As `Client.inputs`."""
        name = await self._name(model)
        known = self._known.get(name)
        if known is None:
            known = ModelInputs.from_metadata(await self._json(metadata_call(name)))
            self._known.put(name, known, _now())
        return known

    async def outcome(self, prediction_id: str, value: Any, observed_at: Any = None) -> None:
        """As `Client.outcome`."""
        await self._outcomes.add([make_outcome(prediction_id, value, observed_at, datetime.now(UTC))])

    async def outcomes(self, outcomes: Iterable[Any]) -> None:
        """As `Client.outcomes`."""
        await self._outcomes.add(make_outcomes(outcomes, datetime.now(UTC)))

    @property
    def outcome_counts(self) -> OutcomeCounts:
        """How many outcomes were accepted, were refused, and wait."""
        return self._outcomes.counts

    async def flush(self, timeout_s: float | None = None) -> None:
        """As `Client.flush`."""
        await self._outcomes.flush(self._retry_s if timeout_s is None else timeout_s)

    async def aclose(self, timeout_s: float | None = None) -> None:
        """As `Client.close`."""
        try:
            await self._outcomes.close(self._retry_s if timeout_s is None else timeout_s)
        finally:
            await self._http.aclose()

    async def _name(self, model: str | None) -> str:
        if model is None and self._model is None:
            self._model = only_model(await self._json(MODELS))
        return model or self._model or ""

    async def _json(self, call: Call) -> Any:
        attempts = Attempts(self._retry_s, _now())
        while True:
            response, failure = await self._send(call)
            if failure is None and response is not None:
                return json_of(response)
            assert failure is not None
            await asyncio.sleep(attempts.next_pause_s(failure, _now(), random.random()))

    async def _try(self, call: Call) -> Failure | None:
        return (await self._send(call))[1]

    async def _send(self, call: Call) -> tuple[httpx.Response | None, Failure | None]:
        sent = asyncio.ensure_future(
            self._http.request(call.method, call.path, content=call.content, headers=call.headers)
        )
        try:
            # httpx loses a connection of its pool for good when a request is cancelled while it connects: a request that nobody
            # waits for any more ends by itself, at its timeout.
            response = await asyncio.shield(sent)
        except asyncio.CancelledError:
            sent.add_done_callback(_ignored)
            raise
        except httpx.RequestError as error:
            return None, failure_of_transport(call, self._url, error)
        return response, failure_of_response(call, response)


def _ignored(sent: asyncio.Future[httpx.Response]) -> None:
    """Take the result of a request that nobody waits for, so that its error is not reported as forgotten."""
    if not sent.cancelled():
        sent.exception()


def _now() -> float:
    return asyncio.get_running_loop().time()
