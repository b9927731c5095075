"""Escapes the data in Evidently's page. Pure.

The page's first script holds two JSON documents with values of features, as they were sent. Evidently writes them unescaped: a
category `</script>…` would end the script, and the browser would run the rest of the value.
"""

from __future__ import annotations

import json
import re

_STARTS = (re.compile(r"<script>\s*var \w+ = "), re.compile(r";\s*var additional_graphs_\w+ = "))
_decoder = json.JSONDecoder()


def escape_script_data(page: str) -> str:
    """The page with every `<` of its data as `\\u003c`, which JavaScript reads as the same text.

    Raises ValueError where the data are not found, as in a page of another version of Evidently: it must not be shown.

    >>> escape_script_data('<script>var a = {"v": "</script>"}; var additional_graphs_a = {};</script>')
    '<script>var a = {"v": "\\\\u003c/script>"}; var additional_graphs_a = {};</script>'
    """
    parts: list[str] = []
    position = 0
    for pattern in _STARTS:
        found = pattern.search(page, position)
        if found is None or (parts and found.start() != position):
            raise ValueError(
                "the report does not have the structure of the Evidently version that this was written for"
            )
        start = found.end()
        _, end = _decoder.raw_decode(page, start)
        parts += [page[position:start], page[start:end].replace("<", r"\u003c")]
        position = end
    return "".join((*parts, page[position:]))
