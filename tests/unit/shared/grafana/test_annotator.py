"""The annotator: never in the way, never twice, and every annotation comes to one result."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock, active_count

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from shared.errors import CallerError, HomeostatError, OperatorError
from shared.grafana.access import GrafanaAccess
from shared.grafana.annotator import (
    MAX_UNKNOWN_OUTCOMES,
    Annotator,
    NoAnnotator,
    annotator_from,
    make_annotator,
)
from shared.grafana.client import GrafanaClient
from shared.grafana.interface import Annotation, GrafanaForbidden, GrafanaOutcomeUnknown, GrafanaUnavailable
from shared.settings import HomeostatSettings
from tests.fakes.grafana_server import TOKEN, FakeGrafana, Trouble, answers, grafana, page
from tests.waiting import bound, time_factor

AT = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
TAGS = ("homeostat", "drift", "model:flights")
SOON = (0.01,)


class Notebook:
    """A Grafana with memory whose next answers are given: errors are raised, None is an answer."""

    def __init__(self, *answers: HomeostatError | None) -> None:
        self.answers = list(answers)
        self.kept: list[Annotation] = []
        self.tries = 0
        self.lookups = 0
        self.keeps_when_unsure = False

    def add_annotation(self, annotation: Annotation) -> None:
        self.tries += 1
        error = self.answers.pop(0) if self.answers else None
        if error is None or (isinstance(error, GrafanaOutcomeUnknown) and self.keeps_when_unsure):
            self.kept.append(annotation)
        if error is not None:
            raise error

    def has_annotation(self, annotation: Annotation) -> bool:
        self.lookups += 1
        return annotation in self.kept


class Results:
    """The results that `on_result` received."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self._lock = Lock()

    def __call__(self, result: str) -> None:
        with self._lock:
            self.received.append(result)

    def wait_for(self, count: int, seconds: float = 10) -> list[str]:
        wait_until(lambda: len(self.received) >= count, seconds)
        return list(self.received)


def wait_until(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds * time_factor()
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


@pytest.fixture
def results() -> Results:
    return Results()


def test_what_is_annotated_arrives_in_order(results: Results) -> None:
    notebook = Notebook()
    annotator = Annotator(notebook, results, now=lambda: AT)
    annotator.annotate("first", ["homeostat", "drift"])
    annotator.annotate("second", TAGS, datetime(2026, 1, 1, tzinfo=UTC))
    assert results.wait_for(2) == ["sent", "sent"]
    assert notebook.kept == [
        Annotation("first", ("homeostat", "drift"), AT),
        Annotation("second", TAGS, datetime(2026, 1, 1, tzinfo=UTC)),
    ]
    annotator.close(1)


def test_annotation_is_retried_until_grafana_responds(results: Results) -> None:
    notebook = Notebook(*[GrafanaUnavailable("away")] * 20)
    annotator = Annotator(notebook, results, pauses=SOON)
    annotator.annotate("patient", TAGS, AT)
    annotator.annotate("next", TAGS, AT)
    assert results.wait_for(2) == ["sent", "sent"]
    assert [one.text for one in notebook.kept] == ["patient", "next"]
    assert (notebook.tries, notebook.lookups) == (22, 0)
    annotator.close(1)


def test_pauses_grow_and_the_last_repeats(results: Results) -> None:
    notebook = Notebook(*[GrafanaUnavailable("away")] * 4)
    annotator = Annotator(notebook, results, pauses=(0.0, 0.05, 0.1))
    start = time.monotonic()
    annotator.annotate("x", TAGS, AT)
    results.wait_for(1)
    assert 0.25 <= time.monotonic() - start < bound(10)
    annotator.close(1)


def test_what_may_be_there_already_is_looked_for_and_not_written_twice(results: Results) -> None:
    notebook = Notebook(GrafanaOutcomeUnknown("timeout"))
    notebook.keeps_when_unsure = True
    annotator = Annotator(notebook, results, pauses=SOON)
    annotator.annotate("once", TAGS, AT)
    assert results.wait_for(1) == ["sent"]
    assert len(notebook.kept) == 1
    assert (notebook.tries, notebook.lookups) == (1, 1)
    annotator.close(1)


def test_unconfirmed_annotation_is_looked_up_and_retried(results: Results) -> None:
    notebook = Notebook(GrafanaOutcomeUnknown("timeout"))
    annotator = Annotator(notebook, results, pauses=SOON)
    annotator.annotate("once", TAGS, AT)
    assert results.wait_for(1) == ["sent"]
    assert (len(notebook.kept), notebook.tries, notebook.lookups) == (1, 2, 1)
    annotator.close(1)


def test_one_over_which_grafana_stumbles_does_not_hold_up_the_rest(results: Results) -> None:
    notebook = Notebook(*[GrafanaOutcomeUnknown("500")] * MAX_UNKNOWN_OUTCOMES)
    annotator = Annotator(notebook, results, pauses=SOON)
    annotator.annotate("poison", TAGS, AT)
    annotator.annotate("good", TAGS, AT)
    assert results.wait_for(2) == ["dropped", "sent"]
    assert [one.text for one in notebook.kept] == ["good"]
    annotator.close(1)


@pytest.mark.parametrize("error", [CallerError("bad"), OperatorError("page"), GrafanaForbidden("403")])
def test_what_grafana_refuses_is_not_tried_again(results: Results, error: HomeostatError) -> None:
    notebook = Notebook(error)
    annotator = Annotator(notebook, results, pauses=SOON)
    annotator.annotate("refused", TAGS, AT)
    annotator.annotate("taken", TAGS, AT)
    assert results.wait_for(2) == ["refused", "sent"]
    assert notebook.tries == 2
    annotator.close(1)


def test_unconfirmed_annotation_is_not_repeated_without_read_access(results: Results) -> None:
    class WithoutReadAccess(Notebook):
        def has_annotation(self, annotation: Annotation) -> bool:
            raise GrafanaForbidden("may not read")

    notebook = WithoutReadAccess(GrafanaOutcomeUnknown("timeout"))
    annotator = Annotator(notebook, results, pauses=SOON)
    annotator.annotate("x", TAGS, AT)
    assert results.wait_for(1) == ["dropped"]
    assert notebook.tries == 1
    annotator.close(1)


def test_unexpected_error_does_not_stop_the_annotator(results: Results) -> None:
    class Broken(Notebook):
        def add_annotation(self, annotation: Annotation) -> None:
            if annotation.text == "bad":
                raise RuntimeError(f"with {TOKEN}")
            super().add_annotation(annotation)

    annotator = Annotator(Broken(), results)
    annotator.annotate("bad", TAGS, AT)
    annotator.annotate("good", TAGS, AT)
    assert results.wait_for(2) == ["dropped", "sent"]
    annotator.close(1)


def test_a_listener_that_raises_does_not_end_the_annotator() -> None:
    notebook = Notebook()

    def listener(result: str) -> None:
        raise RuntimeError(result)

    annotator = Annotator(notebook, listener)
    for number in range(3):
        annotator.annotate(str(number), TAGS, AT)
    wait_until(lambda: len(notebook.kept) == 3)
    annotator.close(1)


class Stuck(Notebook):
    """Never answers, until let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = Event()
        self.let_go = Event()

    def add_annotation(self, annotation: Annotation) -> None:
        self.asked.set()
        self.let_go.wait(60)
        super().add_annotation(annotation)


def test_what_does_not_fit_into_the_queue_is_dropped_and_counted(results: Results) -> None:
    stuck = Stuck()
    annotator = Annotator(stuck, results, capacity=10)
    for number in range(25):
        annotator.annotate(str(number), TAGS, AT)
    assert results.received == ["dropped"] * 15
    stuck.let_go.set()
    assert Counter(results.wait_for(25)) == {"dropped": 15, "sent": 10}
    assert [one.text for one in stuck.kept] == [str(number) for number in range(10)]
    annotator.close(1)


def test_the_queue_of_a_service_holds_a_thousand(results: Results) -> None:
    stuck = Stuck()
    annotator = Annotator(stuck, results)
    for _ in range(1001):
        annotator.annotate("x", TAGS, AT)
    assert results.received == ["dropped"]
    stuck.let_go.set()
    annotator.close(10)
    assert Counter(results.received) == {"sent": 1000, "dropped": 1}


def test_closing_sends_what_waits(results: Results) -> None:
    notebook = Notebook(GrafanaUnavailable("away"))
    annotator = Annotator(notebook, results, pauses=(60.0,))
    annotator.annotate("a", TAGS, AT)
    wait_until(lambda: notebook.tries == 1)
    annotator.annotate("b", TAGS, AT)
    start = time.monotonic()
    annotator.close(5)
    assert time.monotonic() - start < bound(10), "a pause held up the end of the service"
    assert sorted(results.received) == ["dropped", "sent"]
    assert [one.text for one in notebook.kept] == ["b"]


@pytest.mark.filterwarnings("error")  # also of what happens in the annotator's thread
def test_closing_is_bounded_and_counts_what_is_left_once(results: Results) -> None:
    stuck = Stuck()
    annotator = Annotator(stuck, results)
    for number in range(5):
        annotator.annotate(str(number), TAGS, AT)
    assert stuck.asked.wait(5)
    start = time.monotonic()
    annotator.close(0.2)
    assert 0.2 <= time.monotonic() - start < bound(5)
    assert results.received == ["dropped"] * 5
    annotator.annotate("late", TAGS, AT)
    annotator.close(0.2)
    assert results.received == ["dropped"] * 6
    stuck.let_go.set()
    annotator._thread.join(5)
    assert not annotator._thread.is_alive()
    assert results.received == ["dropped"] * 6, "one annotation came to two results"


def test_annotating_takes_less_than_a_millisecond_while_grafana_hangs(results: Results) -> None:
    with grafana() as server:
        server.always = Trouble("hang")
        annotator = make_annotator(server.url, TOKEN, "", "", results)
        annotator.annotate("warm", TAGS, AT)
        wait_until(lambda: len(server.requests) == 1)
        spent = []
        for _ in range(1500):  # beyond what the queue holds
            start = time.perf_counter()
            annotator.annotate("x", TAGS, AT)
            spent.append(time.perf_counter() - start)
        assert sorted(spent)[len(spent) * 99 // 100] < 0.001
        start = time.monotonic()
        annotator.close(0.3)
        assert time.monotonic() - start < bound(5)
        assert Counter(results.received) == {"dropped": 1501}


def test_a_real_grafana_has_each_annotation_once_whatever_befalls(results: Results) -> None:
    """Away, busy, broken after it was carried out, a fault: in the end each mark stands there once."""
    with grafana() as server:
        server.troubles.extend(
            [
                answers(503, "starting", method="POST"),
                Trouble("close", method="POST", carried_out=True),
                answers(502, "gone", method="POST"),
                answers(500, "half done", method="POST", carried_out=True),
                page(504, method="GET"),
            ]
        )
        client = GrafanaClient(GrafanaAccess(server.url, token=TOKEN), timeout_s=5)
        annotator = Annotator(client, results, pauses=SOON)
        for number in range(4):
            annotator.annotate(f"mark {number}", TAGS, AT)
        assert results.wait_for(4, 20) == ["sent"] * 4
        assert [one["text"] for one in server.annotations] == [f"mark {number}" for number in range(4)]
        assert server.violations == []
        annotator.close(1)


def test_a_wrong_token_refuses_and_the_log_holds_no_secret(results: Results) -> None:
    with grafana() as server, capture_logs() as lines:
        annotator = make_annotator(server.url, "glsa_a-token-nobody-knows", "", "a-password", results)
        for _ in range(3):
            annotator.annotate("x", TAGS, AT)
        assert results.wait_for(3) == ["refused"] * 3
        annotator.close(1)
    assert [line["event"] for line in lines] == ["annotations_failing"], "each of them was logged"
    assert "HOMEOSTAT_GRAFANA_TOKEN" in str(lines)
    assert "glsa_a-token-nobody-knows" not in str(lines)
    assert "a-password" not in str(lines)


def test_without_a_grafana_nothing_is_started(results: Results) -> None:
    threads = active_count()
    annotator = make_annotator("", "token", "", "", results)
    assert isinstance(annotator, NoAnnotator)
    annotator.annotate("x", TAGS, AT)
    annotator.close(1)
    assert results.received == []
    assert active_count() == threads
    assert isinstance(annotator_from(HomeostatSettings(), results), NoAnnotator)


def test_the_library_is_loaded_only_where_there_is_a_grafana() -> None:
    program = (
        "import sys; from shared.grafana.annotator import make_annotator; "
        "make_annotator('', '', '', '', print).annotate('x', []); "
        "print(sorted({'requests', 'grafana_api', 'urllib3'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("ftp://grafana", TOKEN),
        ("http://127.0.0.1:3000", ""),
        ("http://127.0.0.1:3000", "two words"),
        ("http://a:" + "b@c", TOKEN),
    ],
)
def test_settings_that_cannot_work_refuse_and_do_not_raise(results: Results, url: str, token: str) -> None:
    with capture_logs() as lines:
        annotator = make_annotator(url, token, "", "", results)
        annotator.annotate("x", TAGS, AT)
        annotator.close(1)
    assert results.received == ["refused"]
    assert [line["event"] for line in lines] == ["annotations_refused"]
    assert "two words" not in str(lines)


def test_secrets_come_from_their_files(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    with grafana() as server:
        monkeypatch.setenv("HOMEOSTAT_GRAFANA_URL", server.url)
        monkeypatch.setenv("HOMEOSTAT_GRAFANA_TOKEN_FILE", str(tmp_path / "token"))
        annotator = annotator_from(HomeostatSettings(), results)
        annotator.annotate("x", TAGS, AT)
        assert results.wait_for(1) == ["sent"]
        annotator.close(1)
        assert server.requests[0].authorization == f"Bearer {TOKEN}"


def test_a_secret_file_that_is_not_there_refuses_and_does_not_raise(results: Results, tmp_path: Path) -> None:
    settings = HomeostatSettings().model_copy(
        update={"grafana_url": "http://127.0.0.1:3000", "grafana_token_file": tmp_path / "none"}
    )
    annotator = annotator_from(settings, results)
    annotator.annotate("x", TAGS, AT)
    assert results.received == ["refused"]


def test_a_given_token_goes_before_its_file(tmp_path: Path, results: Results) -> None:
    (tmp_path / "token").write_text("glsa_of-the-file")
    with grafana() as server:
        settings = HomeostatSettings().model_copy(
            update={
                "grafana_url": server.url,
                "grafana_token": SecretStr(TOKEN),
                "grafana_token_file": tmp_path / "token",
            }
        )
        annotator = annotator_from(settings, results)
        annotator.annotate("x", TAGS, AT)
        assert results.wait_for(1) == ["sent"]
        annotator.close(1)


def test_a_grafana_that_comes_back_gets_what_waited(results: Results) -> None:
    server = FakeGrafana()
    url, port = server.url, server.port
    server.stop()
    annotator = Annotator(
        GrafanaClient(GrafanaAccess(url, token=TOKEN), timeout_s=5), results, pauses=(0.05,)
    )
    annotator.annotate("before it was there", TAGS, AT)
    time.sleep(0.2)
    assert results.received == []
    with grafana(port=port) as back:
        assert results.wait_for(1) == ["sent"]
        assert [one["time"] for one in back.annotations] == [int(AT.timestamp() * 1000)]
    annotator.close(1)
