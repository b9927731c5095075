"""Advisories from a folder, in the form of OSV's API: for machines that reach no source of advisories.

The folder is a copy of the Python Packaging Advisory Database, or any files of the OSV schema, as YAML or JSON.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name

from tests.audit.vulnerabilities import Source

OLD_AFTER = timedelta(days=30)
Advisories = dict[str, list[dict[str, Any]]]


def read_advisories(folder: Path) -> Advisories:
    """The advisories of a folder by package."""
    found: Advisories = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".yaml", ".json"):
            continue
        # JSON is YAML.
        advisory = yaml.load(
            path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        )
        if not isinstance(advisory, dict):
            continue
        for affected in advisory.get("affected") or ():
            package = affected.get("package", {})
            if package.get("ecosystem") == "PyPI":
                found[canonicalize_name(package["name"])].append(advisory)
    return found


def matching(advisories: Advisories, name: str, version: str) -> list[dict[str, Any]]:
    """The advisories about a version of a package."""
    return [
        one
        for one in advisories.get(name, ())
        if any(
            canonicalize_name(affected["package"]["name"]) == name and version in affected.get("versions", ())
            for affected in one["affected"]
        )
    ]


def newest_of(advisories: Advisories) -> datetime:
    """When the newest advisory was changed; the database gets several a week. Without any, the year 1."""
    found = [datetime.min.replace(tzinfo=UTC)]
    for about in advisories.values():
        for one in about:
            changed = one.get("modified")
            if isinstance(changed, str):
                changed = datetime.fromisoformat(changed)
            if isinstance(changed, datetime):
                found.append(changed if changed.tzinfo else changed.replace(tzinfo=UTC))
    return max(found)


@contextmanager
def serving(folder: Path) -> Iterator[Source]:
    """The folder as a source for pip-audit, on a port of this machine until the end of the block."""
    advisories = read_advisories(folder)
    newest = newest_of(advisories)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = matching(advisories, asked["package"]["name"], asked["version"])
            body = json.dumps({"vulns": found} if found else {}, default=str).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/v1/query"
    try:
        yield Source(
            f"advisories of {folder.name}, the newest of {newest:%Y-%m-%d}",
            ("--vulnerability-service", "osv", "--osv-url", url),
            is_old=datetime.now(UTC) - newest > OLD_AFTER,
        )
    finally:
        server.shutdown()
        server.server_close()
