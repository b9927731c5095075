"""Checks of the console in addition to the host and origin check of every service. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from shared.http.host_check import Forbidden

HEADER = "x-homeostat-console"


def check_header(headers: Mapping[str, str]) -> None:
    """Raises Forbidden without the header of our script; a page of another site cannot send it without a CORS preflight."""
    if HEADER not in headers:
        raise Forbidden("the header X-Homeostat-Console is missing", hint="send it with the value 1")


def check_own_page(headers: Mapping[str, str]) -> None:
    """Raises Forbidden for a form that says nothing about where it was sent from; what it says was checked before.

    Browsers send Origin with every form. A program sends the header of our script instead.
    """
    if not any(name in headers for name in ("origin", "sec-fetch-site", HEADER)):
        raise Forbidden(
            "neither Origin nor X-Homeostat-Console says where the form was sent from",
            hint="log in with a browser, or send X-Homeostat-Console with the value 1",
        )


def is_deliberate(headers: Mapping[str, str]) -> bool:
    """Whether a person has opened a link: by typing or pasting it, or from a program, and not on a page of another site.

    A browser that does not say so, or that fetches a page in case somebody opens it, does not count.
    """
    return headers.get("sec-fetch-site") in ("none", "same-origin") and "sec-purpose" not in headers


def check_framed(headers: Mapping[str, str]) -> None:
    """Raises Forbidden if a browser is about to show a report outside the frame of a console page."""
    if headers.get("sec-fetch-dest", "iframe") != "iframe":
        raise Forbidden(
            "a report is shown only in a frame of the console", hint="remove /content from the URL"
        )
