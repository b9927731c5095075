"""What can befall a request to the Grafana of the tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Trouble:
    """Something that befalls a request instead of, or after, its being carried out.

    `kind`: answer (with `status`, `body`, `headers`), hang (until the server stops), close (without an answer), trickle (an
    answer that never ends, a byte at a time).
    """

    kind: Literal["answer", "hang", "close", "trickle"]
    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    carried_out: bool = False
    method: str = ""
    path: str = ""

    def befalls(self, method: str, path: str) -> bool:
        return (not self.method or method == self.method) and path.startswith(self.path)


def answers(status: int, message: str, **where: Any) -> Trouble:
    """An answer in Grafana's form."""
    return Trouble("answer", status, json.dumps({"message": message}).encode(), (JSON_TYPE,), **where)


def page(status: int, **where: Any) -> Trouble:
    """A page of a proxy, with the word that the library stumbles over."""
    text = b"<html><body><form>Log in to read this message</form></body></html>"
    return Trouble("answer", status, text, (("Content-Type", "text/html"),), **where)


JSON_TYPE = ("Content-Type", "application/json; charset=UTF-8")
