"""The S3 server of moto as a process of its own, on a free port of the loopback address, which it prints.

Runs in the environment of `make s3-server`. Requests are handled one at a time: moto checks the condition of a put and stores the
object in two steps, and S3 promises one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

# No requests to AWS, and no credentials: moto asks for none.
os.environ.update(AWS_ACCESS_KEY_ID="-", AWS_SECRET_ACCESS_KEY="-", AWS_EC2_METADATA_DISABLED="true")


def main() -> None:
    """Serve until the process is ended."""
    from moto.moto_server.werkzeug_app import (  # type: ignore[import-not-found]
        DomainDispatcherApplication,
        create_backend_app,
    )
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):  # type: ignore[misc]
        def log_request(self, *_: Any) -> None:
            """Nothing."""

    app, lock = DomainDispatcherApplication(create_backend_app), Lock()

    def one_at_a_time(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with lock:
            return list(app(environ, start_response))

    server = make_server("127.0.0.1", 0, one_at_a_time, threaded=True, request_handler=Quiet)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
