"""Checks of the console in addition to the host and origin check of every service. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from shared.http.host_check import Forbidden

HEADER = "x-homeostat-console"


def check_header(headers: Mapping[str, str]) -> None:
    """Raises Forbidden without the header of our script; a page of another site cannot send it without a CORS preflight."""
    if HEADER not in headers:
        raise Forbidden("the header X-Homeostat-Console is missing", hint="send it with the value 1")


def check_framed(headers: Mapping[str, str]) -> None:
    """Raises Forbidden if a browser is about to show a report outside the frame of a console page."""
    if headers.get("sec-fetch-dest", "iframe") != "iframe":
        raise Forbidden(
            "a report is shown only in a frame of the console", hint="remove /content from the URL"
        )
