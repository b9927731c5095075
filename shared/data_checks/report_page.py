"""A page with our heading above a report of Evidently. Pure."""

from __future__ import annotations

import html
from collections.abc import Sequence

# Evidently's page holds its scripts, styles and fonts. The policy sees to it that it stays so: a browser fetches nothing else.
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "script-src 'unsafe-inline' 'unsafe-eval' blob:; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    'worker-src blob:">'
)
_EMPTY = "<!DOCTYPE html><html><head></head><body></body></html>"


def report_page(title: str, paragraphs: Sequence[str], document: str = "") -> str:
    """The page: title, paragraphs, and below them `document`, Evidently's page with its data escaped.

    >>> "<p" in report_page("parcels", ["a < b"]) and "a &lt; b" in report_page("parcels", ["a < b"])
    True
    """
    head = f"<head>{_POLICY}<title>{html.escape(title)}</title>"
    texts = "".join(
        f'<p style="font-family:sans-serif;margin:0.5rem 1.5rem">{html.escape(text)}</p>'
        for text in paragraphs
    )
    heading = (
        f'<body><h1 style="font-family:sans-serif;margin:1rem 1.5rem 0">{html.escape(title)}</h1>{texts}'
    )
    return (document or _EMPTY).replace("<head>", head, 1).replace("<body>", heading, 1)
