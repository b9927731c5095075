from __future__ import annotations

import ssl

import pytest
from structlog.testing import capture_logs

from shared.http.handshakes.failure_log import FailureLog, problem_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def failure(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


def test_one_line_in_ten_seconds_has_the_number_of_failures() -> None:
    clock = Clock()
    log = FailureLog(clock)
    with capture_logs() as lines:
        for clock.now in (100, 101, 109.9, 110, 125):
            log.add(("10.0.0.1", 5), failure("NO_SHARED_CIPHER"))
    assert [(line["failures"], line["client"]) for line in lines] == [
        (1, "10.0.0.1"),
        (3, "10.0.0.1"),
        (1, "10.0.0.1"),
    ]


def test_clients_that_only_connect_are_not_logged() -> None:
    with capture_logs() as lines:
        for error in (ConnectionResetError(), BrokenPipeError(), ssl.SSLEOFError()):
            FailureLog().add(None, error)
    assert lines == []


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (ConnectionAbortedError(), "in time"),
        (TimeoutError(), "in time"),
        (failure("PEER_DID_NOT_RETURN_A_CERTIFICATE"), "HOMEOSTAT_TLS_CLIENT_CA requires one"),
        (failure("TLSV1_ALERT_UNKNOWN_CA"), "does not trust our CA"),
        (failure("NO_SHARED_CIPHER"), "NO_SHARED_CIPHER"),
        (OSError("odd"), "odd"),
    ],
)
def test_reason_is_in_words(error: Exception, part: str) -> None:
    assert part in problem_of(error)
