"""Checks a record of the verdicts topic before anything is done about it. Pure."""

from __future__ import annotations

import re
from datetime import datetime

from pydantic import ValidationError

from shared.contracts.event_time import check_event_time
from shared.contracts.loop_spec import MODEL_NAME
from shared.contracts.verdict import Verdict
from shared.errors import InvalidRequest
from shared.messaging.interfaces import Message
from shared.messaging.record_mac import RecordMac


class RefusedRecord(Exception):
    """A record that no retry would change. `result`: unauthenticated, unreadable or refused, as metrics count it."""

    def __init__(self, result: str, problem: str, verdict: Verdict | None = None) -> None:
        super().__init__(problem)
        self.result, self.problem, self.verdict = result, problem, verdict


def read_verdict(message: Message, mac: RecordMac, now: datetime) -> Verdict:
    """The verdict in a record: 1. authenticity   2. form   3. id and time. Raises RefusedRecord."""
    if flaw := mac.find_flaw(message):
        raise RefusedRecord("unauthenticated", flaw)
    try:
        verdict = Verdict.model_validate_json(message.value)
    except ValidationError as error:
        raise RefusedRecord("unreadable", str(error)[:500]) from error
    if re.fullmatch(MODEL_NAME, verdict.model) is None:
        raise RefusedRecord("refused", "model is not a valid model name", verdict)
    if not verdict.has_own_id:
        problem = "verdict_id is not the key of model, detector, version and window_end"
        raise RefusedRecord("refused", problem, verdict)
    try:
        check_event_time(verdict.window_end, now, field="window_end")
    except InvalidRequest as error:
        raise RefusedRecord("refused", str(error), verdict) from error
    return verdict
