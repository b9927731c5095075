"""The client for programs without asyncio."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import httpx

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
from homeostat.client.outcome_sender import OutcomeSender
from homeostat.client.outcomes import OutcomeCounts, make_outcome, make_outcomes
from homeostat.client.plain_values import time_text
from homeostat.client.predictions import Predictions
from homeostat.client.retry import Attempts, Failure
from homeostat.client.rows import to_rows
from shared.errors import HomeostatError, InvalidRequest

TIMEOUT_S = 30.0
RETRY_S = 30.0


class Client:
    """Predictions of a server, and outcomes that are sent in the background. Threads may share one; close it, or use `with`.

    A prediction is logged at most once for each call of `predict`; an outcome reaches the server at least once.
    """

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
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Sends nothing yet.

        `model` may be omitted while the server has one. `timeout_s` limits one attempt, `retry_s` all attempts of a call.
        `api_key` is sent with every request; without it, that of `HOMEOSTAT_API_KEY` or in the file `HOMEOSTAT_API_KEY_FILE`.
        `ca`, `certificate` and `key` are PEM files: the CA of an `https://` server, and the client's own pair if it requires one;
        without them, those of `HOMEOSTAT_TLS_CA`, `HOMEOSTAT_TLS_CLIENT_CERTIFICATE` and `HOMEOSTAT_TLS_CLIENT_KEY`.
        Outcomes are sent as soon as `flush_at` wait, or the oldest has waited `flush_after_s`; at most `buffer_size` wait.
        """
        self._url = checked_url(url)
        self._model = model
        self._retry_s = retry_s
        self._known = KnownInputs()
        # The server is meant, and never a proxy that a variable names.
        self._http = httpx.Client(
            base_url=self._url,
            timeout=timeout_s,
            headers=headers_with_key(headers, api_key),
            auth=key_from_file(headers, api_key),
            transport=transport,
            trust_env=False,
            verify=verification(self._url, ca, certificate, key),
        )
        settings = BufferSettings(buffer_size, flush_at, flush_after_s)
        self._outcomes = OutcomeSender(OutcomeDelivery(settings), self._try, retry_s=retry_s)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except HomeostatError as problem:
            if error is None:
                raise
            error.add_note(f"closing the client failed, too: {problem}")  # the first error is the cause

    def predict(
        self, rows: Any, *, model: str | None = None, event_time: Any = None, key: str | None = None
    ) -> Predictions:
        """The predictions for `rows`: a DataFrame, a list of dictionaries or one dictionary; in their order, by one version.

        `event_time` is when the rows happened, with an offset from UTC; without it, now. `key`, such as the id of a customer,
        decides whether a canary answers: the same key gets the same version. Raises InvalidRequest before anything is sent,
        and RequestRefused, ServerFailed, ServerUnavailable or AnswerLost.
        """
        name = self._name(model)
        given, moment = to_rows(rows), time_text(event_time, field="event_time")
        try:
            converted = self.inputs(name).convert(given)
        except InvalidRequest:
            if self._known.is_fresh(name, time.monotonic()):
                raise
            # A version released since may have other inputs.
            self._known.forget(name)
            converted = self.inputs(name).convert(given)
        reply = Predictions.from_reply(self._json(predict_call(name, converted, moment, key)))
        if reply.slot == "live":  # the inputs are those of the live version
            self._known.answered_by(name, reply.version)
        return reply

    def inputs(self, model: str | None = None) -> ModelInputs:
        """The inputs of the served version: names, types, and the values of categories."""
        name = self._name(model)
        known = self._known.get(name)
        if known is None:
            known = ModelInputs.from_metadata(self._json(metadata_call(name)))
            self._known.put(name, known, time.monotonic())
        return known

    def outcome(self, prediction_id: str, value: Any, observed_at: Any = None) -> None:
        """Record what turned out to be true of a prediction; sent later, with others. `observed_at` without a value is now.

        `value`: a number, a label, or of a model of several values a dictionary of numbers by name.
        Raises InvalidRequest, and OutcomeBufferFull if the buffer has no space within the time for retries.
        """
        self._outcomes.add([make_outcome(prediction_id, value, observed_at, datetime.now(UTC))])

    def outcomes(self, outcomes: Iterable[Any]) -> None:
        """Record many: dictionaries of `prediction_id`, `value` and `observed_at`, or tuples of them in this order."""
        self._outcomes.add(make_outcomes(outcomes, datetime.now(UTC)))

    @property
    def outcome_counts(self) -> OutcomeCounts:
        """How many outcomes were accepted, were refused, and wait."""
        return self._outcomes.counts

    def flush(self, timeout_s: float | None = None) -> None:
        """Send all outcomes now. Raises OutcomesNotSent if that fails for `timeout_s` (default: `retry_s`), OutcomesRefused."""
        self._outcomes.flush(self._retry_s if timeout_s is None else timeout_s)

    def close(self, timeout_s: float | None = None) -> None:
        """Send all outcomes, and close the connections. Raises as `flush` does."""
        try:
            self._outcomes.close(self._retry_s if timeout_s is None else timeout_s)
        finally:
            self._http.close()

    def _name(self, model: str | None) -> str:
        if model is None and self._model is None:
            self._model = only_model(self._json(MODELS))
        return model or self._model or ""

    def _json(self, call: Call) -> Any:
        """The answer to a call, repeated where that is safe."""
        attempts = Attempts(self._retry_s, time.monotonic())
        while True:
            response, failure = self._send(call)
            if failure is None and response is not None:
                return json_of(response)
            assert failure is not None
            time.sleep(attempts.next_pause_s(failure, time.monotonic(), random.random()))

    def _try(self, call: Call) -> Failure | None:
        return self._send(call)[1]

    def _send(self, call: Call) -> tuple[httpx.Response | None, Failure | None]:
        try:
            response = self._http.request(call.method, call.path, content=call.content, headers=call.headers)
        except httpx.RequestError as error:
            return None, failure_of_transport(call, self._url, error)
        return response, failure_of_response(call, response)
