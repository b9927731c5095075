"""Reports of verdicts, kept through obstore: a local folder, S3, GCS or Azure, by URL.

    <model>/<verdict_id>.html             the page
    <model>/<verdict_id>.json             its numbers
    <model>/<verdict_id>.evidently.json   the evaluation as Evidently loads it

Of a revised verdict, `-<revision>` follows the id: what was drawn of an earlier revision says what is no longer true.
The page is written last: a report without one does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from shared.errors import DependencyUnavailable
from shared.stores.certificate_hint import certificate_hint

Form = Literal["evidently", "json", "html"]
# In the order in which they are written.
_ENDINGS: Final[dict[Form, str]] = {"evidently": ".evidently.json", "json": ".json", "html": ".html"}


@dataclass(frozen=True)
class KeptReport:
    """A report in the store. `drawn_at`: when it was written, by the store's clock."""

    report_id: str
    drawn_at: datetime

    @property
    def verdict_id(self) -> str:
        """The verdict that it is about."""
        return self.report_id.partition("-")[0]


def report_id(verdict_id: str, revision: int) -> str:
    """The id of the report about a revision of a verdict.

    >>> report_id("0f", 1), report_id("0f", 2)
    ('0f', '0f-2')
    """
    return verdict_id if revision == 1 else f"{verdict_id}-{revision}"


def open_report_store(url: str, *, create: bool = True) -> ReportStore:
    """The store at `url`. A missing local folder is created; without `create` it stays missing, and the store is an empty one."""
    if url.startswith("file://"):
        folder = Path(unquote(urlsplit(url).path))
        if not create and not folder.is_dir():
            return ReportStore(MemoryStore())
        folder.mkdir(parents=True, exist_ok=True)
        return ReportStore(LocalStore(folder))
    return ReportStore(from_url(url))


class ReportStore:
    """Reads and writes reports. Methods raise DependencyUnavailable where the store does not respond."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def read(self, model: str, report_id: str, form: Form) -> str | None:
        """One form of a report; None if it is not kept."""
        try:
            return bytes(obstore.get(self._store, _path(model, report_id, form)).bytes()).decode()
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise _unavailable(error) from error

    def write(self, model: str, report_id: str, forms: Mapping[Form, str]) -> None:
        """Keep a report, in place of an earlier one."""
        try:
            for form in _ENDINGS:
                if form in forms:
                    obstore.put(self._store, _path(model, report_id, form), forms[form].encode())
        except BaseError as error:
            raise _unavailable(error) from error

    def models(self) -> list[str]:
        """Models that have reports, in alphabetical order."""
        return sorted(path.rstrip("/") for path in self._list("")["common_prefixes"])

    def reports(self, model: str) -> list[KeptReport]:
        """The reports of a model, the one that was written last first."""
        pages = [
            KeptReport(name.removesuffix(_ENDINGS["html"]), entry["last_modified"])
            for entry in self._list(f"{model}/")["objects"]
            if (name := entry["path"].rsplit("/", 1)[-1]).endswith(_ENDINGS["html"])
        ]
        return sorted(pages, key=lambda one: (one.drawn_at, one.report_id), reverse=True)

    def incomplete(self, model: str, before: datetime) -> list[str]:
        """Reports without a page, last written before a time: what an interrupted write or removal has left."""
        pages, written = set[str](), dict[str, datetime]()
        for entry in self._list(f"{model}/")["objects"]:
            name, _, ending = entry["path"].rsplit("/", 1)[-1].partition(".")
            if f".{ending}" == _ENDINGS["html"]:
                pages.add(name)
            elif f".{ending}" in _ENDINGS.values():
                written[name] = max(entry["last_modified"], written.get(name, entry["last_modified"]))
        return sorted(name for name, last in written.items() if name not in pages and last < before)

    def remove(self, model: str, report_ids: Iterable[str]) -> None:
        """Remove reports with all their forms."""
        self._delete(_path(model, one, form) for one in report_ids for form in reversed(_ENDINGS))

    def has_any(self, model: str) -> bool:
        """Whether anything is kept about a model."""
        return bool(self._list(f"{model}/")["objects"])

    def remove_model(self, model: str) -> None:
        """Remove everything about a model, also what an interrupted write has left."""
        self._delete(entry["path"] for entry in self._list(f"{model}/")["objects"])

    def _delete(self, paths: Iterable[str]) -> None:
        for path in paths:
            try:
                obstore.delete(self._store, path)
            except FileNotFoundError:
                continue
            except BaseError as error:
                raise _unavailable(error) from error

    def _list(self, prefix: str) -> Any:
        try:
            return obstore.list_with_delimiter(self._store, prefix=prefix)
        except BaseError as error:
            raise _unavailable(error) from error


def _path(model: str, report_id: str, form: Form) -> str:
    return f"{model}/{report_id}{_ENDINGS[form]}"


def _unavailable(error: object) -> DependencyUnavailable:
    return DependencyUnavailable(
        f"the store of reports does not respond: {error}", hint=certificate_hint(str(error))
    )
