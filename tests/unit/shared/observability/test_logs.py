"""Logs: one JSON object a line, with the ids it is about. Run in processes of their own: logging is a process's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

ROOT = Path(__file__).parents[4]
START = """
import logging, structlog
from shared.observability.logs import configure_logs, get_logger, log_unknown_error
from shared.settings import HomeostatSettings
configure_logs("drift", HomeostatSettings())
log = get_logger("services.drift.http.app")
"""


def lines_of(program: str, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", START + program],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "", "logs belong on standard error"
    return done.stderr.splitlines()


def log_of(program: str, **environment: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in lines_of(program, **environment)]


def test_log_line_holds_its_fields() -> None:
    (line,) = log_of("log.info('verdict_reached', model='flights', window='2013-02-01')")
    assert line["timestamp"].endswith("Z")
    del line["timestamp"]
    assert line == {
        "event": "verdict_reached",
        "level": "info",
        "service": "drift",
        "model": "flights",
        "window": "2013-02-01",
    }


def test_variables_that_are_no_settings_are_reported_once() -> None:
    lines = log_of("log.info('x')", HOMEOSTAT_DRIFT_PROT="1", HOMEOSTAT_DRIFT_PORT="1")
    assert [line.get("problem") for line in lines] == [
        "HOMEOSTAT_DRIFT_PROT is not a setting; did you mean HOMEOSTAT_DRIFT_PORT?",
        None,
    ]
    assert (lines[0]["event"], lines[0]["level"]) == ("unknown_variable", "warning")


def test_context_ids_are_on_every_line() -> None:
    ours, theirs = log_of(
        "structlog.contextvars.bind_contextvars(run_id='r1', cause_id='c1')\n"
        "log.info('run_started')\n"
        "logging.getLogger('some.library').warning('slow %s', 'disk')"
    )
    assert (ours["run_id"], ours["cause_id"]) == (theirs["run_id"], theirs["cause_id"]) == ("r1", "c1")
    assert (theirs["event"], theirs["level"], theirs["service"]) == ("slow disk", "warning", "drift")


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warning"]),
        ("info", ["info", "warning"]),
        ("warning", ["warning"]),
        ("error", []),
    ],
)
def test_lines_below_the_level_are_hidden(level: str, shown: list[str]) -> None:
    written = log_of("log.debug('a'); log.info('b'); log.warning('c')", HOMEOSTAT_LOG_LEVEL=level)
    assert [line["level"] for line in written] == shown


def test_noisy_libraries_log_warnings_only() -> None:
    written = log_of("logging.getLogger('alembic').info('hello'); logging.getLogger('alembic').error('gone')")
    assert [line["event"] for line in written] == ["gone"]


def test_kafka_client_errors_are_hidden() -> None:
    written = log_of("logging.getLogger('kafka.conn').error('gone'); log.warning('kafka_unavailable')")
    assert [line["event"] for line in written] == ["kafka_unavailable"]


def test_unknown_error_is_logged_with_its_id() -> None:
    line, last = log_of(
        "try:\n    {}['secret']\nexcept KeyError as error:\n    error_id = log_unknown_error(log, error)\n"
        "log.info('returned', error_id=error_id)"
    )
    assert line["event"] == "unknown_error"
    assert line["error_id"] == last["error_id"]
    assert len(line["error_id"]) == 12
    assert "KeyError: 'secret'" in line["exception"]


def test_console_format_is_not_json() -> None:
    (line,) = lines_of("log.info('verdict_reached', model='flights')", HOMEOSTAT_LOG_FORMAT="console")
    assert not line.startswith("{")
    assert "verdict_reached" in line
    assert "flights" in line
