"""CloudEvents 1.0 in binary mode: attributes are Kafka headers, the payload is unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

Headers = list[tuple[str, bytes]]

JSON = "application/json"


@dataclass(frozen=True)
class Event:
    """The attributes of one record: what happened (`type`), where (`source`), about which `model`."""

    type: str
    source: str
    model: str
    event_id: str
    time: datetime
    content_type: str
    traceparent: str = ""

    @classmethod
    def now(
        cls, event_type: str, *, source: str, model: str, content_type: str, traceparent: str = ""
    ) -> Event:
        """An event with the current time and a new id."""
        return cls(event_type, source, model, uuid4().hex, datetime.now(UTC), content_type, traceparent)

    def headers(self) -> Headers:
        """The attributes as Kafka headers."""
        values = {
            "ce_specversion": "1.0",
            "ce_type": self.type,
            "ce_source": self.source,
            "ce_id": self.event_id,
            "ce_time": self.time.isoformat(),
            "ce_model": self.model,
            "content-type": self.content_type,
        }
        if self.traceparent:
            values["traceparent"] = self.traceparent
        return [(name, value.encode()) for name, value in values.items()]

    @classmethod
    def from_headers(cls, headers: Sequence[tuple[str, bytes]]) -> Event:
        """The attributes in a record's headers. Raises ValueError naming a header that is missing or unreadable."""
        try:
            values = {name: value.decode() for name, value in headers if value is not None}
        except UnicodeDecodeError as error:
            raise ValueError(f"a header is not UTF-8: {error}") from error
        wanted = ("ce_specversion", "ce_type", "ce_source", "ce_id", "ce_time", "ce_model", "content-type")
        missing = [name for name in wanted if not values.get(name)]
        if missing:
            raise ValueError(f"headers are missing: {', '.join(missing)}")
        if values["ce_specversion"] != "1.0":
            raise ValueError(f"ce_specversion is {values['ce_specversion']!r}, expected 1.0")
        try:
            time = datetime.fromisoformat(values["ce_time"])
        except ValueError as error:
            raise ValueError(f"ce_time is not an ISO 8601 time: {values['ce_time']!r}") from error
        return cls(
            type=values["ce_type"],
            source=values["ce_source"],
            model=values["ce_model"],
            event_id=values["ce_id"],
            time=time,
            content_type=values["content-type"],
            traceparent=values.get("traceparent", ""),
        )


def model_of(headers: Sequence[tuple[str, bytes]]) -> str:
    """The model that the headers name, before anything about the record is checked; empty if they name none."""
    for name, value in headers:
        if name == "ce_model":
            return value.decode(errors="replace") if value is not None else ""
    return ""
