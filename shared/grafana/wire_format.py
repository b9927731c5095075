"""Grafana's JSON, and what it means for the interface: read leniently, since a field may be missing or null. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.grafana.interface import Board, DataSource, Save

# Fields of a data source that can be written; everything else in Grafana's response is its own.
_WRITABLE = (
    "uid", "name", "type", "access", "url", "user", "database", "basicAuth", "basicAuthUser", "withCredentials",
    "isDefault", "jsonData", "version",
)  # fmt: skip


def text_of(found: Mapping[str, Any], name: str) -> str:
    """A text field; empty where it is no text."""
    value = found.get(name)
    return value if isinstance(value, str) else ""


def number_of(found: Mapping[str, Any], name: str) -> int:
    """A field with a whole number; 0 where it is none."""
    value = found.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def read_data_source(found: Mapping[str, Any]) -> DataSource:
    """A data source."""
    return DataSource(
        uid=text_of(found, "uid"),
        name=text_of(found, "name"),
        kind=text_of(found, "type"),
        url=text_of(found, "url"),
        is_default=found.get("isDefault") is True,
        read_only=found.get("readOnly") is True,
        options=found.get("jsonData") if isinstance(found.get("jsonData"), dict) else {},
    )


def data_source_body(source: DataSource, found: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The body that creates a data source, or that changes the one `found`: Grafana replaces what it has, except secrets."""
    kept = {} if found is None else {name: found[name] for name in _WRITABLE if name in found}
    options = {} if found is None else dict(found.get("jsonData") or {})
    secret: dict[str, str] = {}
    if source.user:
        kept |= {"basicAuth": True, "basicAuthUser": source.user}
        secret["basicAuthPassword"] = source.password
    if source.ca:
        options["tlsAuthWithCACert"] = True
        secret["tlsCACert"] = source.ca
    return kept | {
        "uid": source.uid,
        "name": source.name,
        "type": source.kind,
        "access": "proxy",
        "url": source.url,
        "isDefault": source.is_default,
        "jsonData": options | dict(source.options or {}),
        **({"secureJsonData": secret} if secret else {}),
    }


def read_board(found: Mapping[str, Any]) -> Board | None:
    """A board; None where the response is not one."""
    model, about = found.get("dashboard"), found.get("meta")
    if not isinstance(model, dict) or not isinstance(about, dict):
        return None
    return Board(
        uid=text_of(model, "uid"),
        title=text_of(model, "title"),
        model=model,
        folder_uid=text_of(about, "folderUid"),
        version=number_of(model, "version"),
        provisioned=about.get("provisioned") is True,
    )


def read_save(found: Mapping[str, Any]) -> Save:
    """One entry of a board's history."""
    return Save(
        version=number_of(found, "version"), message=text_of(found, "message"), by=text_of(found, "createdBy")
    )
