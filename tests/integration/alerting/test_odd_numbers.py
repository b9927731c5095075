"""Numbers that promtool's unit tests cannot write down: NaN, as services show it while they do not know."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.observability import eventually, running_prometheus, with_short_waits

SHOWN = b"""\
homeostat_inference_release_log_age_seconds NaN
homeostat_retraining_served_loss{model="m"} NaN
homeostat_retraining_baseline_loss{model="m"} 0.5
homeostat_inference_spool_bytes 0
homeostat_inference_spool_bound_bytes 0
"""


class Shown(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(SHOWN)

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Shown) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_log_that_was_never_read_fires_and_an_unknown_loss_does_not(tmp_path: Path, address: str) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    jobs = {job: [address] for job in ("inference", "shipper", "sink", "drift", "retraining")}
    with running_prometheus(tmp_path / "prometheus", jobs, rules=with_short_waits(rules)) as prometheus:
        prometheus.wait_for_targets()
        prometheus.wait_for("homeostat_retraining_baseline_loss")
        # Rules are evaluated before the first scrape, too: what fires for that is over at once.
        eventually(
            lambda: (
                {alert["labels"]["alertname"] for alert in prometheus.alerts()}
                == {"HomeostatReleaseLogUnavailable"}
            ),
            "the one alert that is due is the only one",
        )
        # One for each job here, since all of them show the same.
        fired = eventually(lambda: prometheus.alerts("firing"), "it fires")
        assert all("NaN" in alert["annotations"]["description"] for alert in fired)
