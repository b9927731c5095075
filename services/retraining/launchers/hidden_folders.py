"""The folders that a training command must not read: a model trained on the rows of the holdout would pass any gate."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from shared.settings import HomeostatSettings


def folders_with_rows(settings: HomeostatSettings) -> tuple[Path, ...]:
    """The home, and lake, model store and reports where they are elsewhere on this machine: references hold holdouts too."""
    urls = (urlsplit(url) for url in (settings.lake_url, settings.model_store_url, settings.reports_url))
    places = (Path(unquote(url.path)) for url in urls if url.scheme in ("", "file"))
    return tuple(dict.fromkeys((settings.home.absolute(), *places)))
