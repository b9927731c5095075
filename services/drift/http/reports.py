"""Reports of verdicts for people: drawn when first requested; the newest of each model are kept."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Protocol

from services.drift.evaluation.columns import Column, prediction_columns, sample, sample_seed
from services.drift.evaluation.evidently_adapter import Drawn, Heading, Sample
from services.drift.evaluation.method_thresholds import method_of
from services.drift.http.report_retention import ReportRetention
from services.drift.monitoring.lake_reader import LakeReader
from services.drift.monitoring.references import References
from services.drift.verdicts.store import VerdictStore
from services.drift.windows import Span
from shared.contracts.manifest import short
from shared.contracts.verdict import MetricValue, Verdict, cause_key
from shared.errors import NotFound, OperatorError
from shared.observability.logs import get_logger
from shared.stores.reports.report_store import Form, ReportStore, report_id

_log = get_logger(__name__)

MAX_COLUMNS = 30


class Drawer(Protocol):
    """Draws columns beside their reference, below a heading.

    `prepare` loads what it needs; raises OperatorError if that takes longer than so many seconds.
    """

    def prepare(self, seconds: float) -> None: ...

    def draw(self, heading: Heading, samples: list[Sample]) -> Drawn: ...


@dataclass
class Reports:
    """Reports in `store`; `retention` is applied to a model after a report of it is drawn."""

    store: ReportStore
    retention: ReportRetention
    verdicts: VerdictStore
    references: References
    lake_reader: LakeReader
    drawer: Drawer
    max_rows: int = 5000
    wait_seconds: float = 5.0  # of a request, for the drawer's library, and for other reports
    draw_seconds: float = 15.0  # of a request, for its own report: with both waits, less than clients wait

    def __post_init__(self) -> None:
        self._drawing = Lock()

    def read(self, verdict_id: str, form: Form) -> str:
        """The report of a verdict. Raises NotFound; DependencyUnavailable where its window, its reference or the store cannot
        be read; and OperatorError while the drawer's library is being loaded, or other reports are being drawn, or if this
        one is not drawn in time. It is then drawn all the same, for a later request."""
        verdict = self.verdicts.get(verdict_id)
        kept = self._kept(verdict, form)
        if kept is not None:
            return kept
        self.drawer.prepare(self.wait_seconds)
        if not self._drawing.acquire(timeout=self.wait_seconds):
            raise OperatorError("other reports are being drawn", hint="retry after some seconds")
        report: Future[str] = Future()
        Thread(target=self._draw_and_release, args=(verdict, form, report), daemon=True).start()
        try:
            return report.result(self.draw_seconds)
        except TimeoutError:
            if report.done():
                raise
            report.add_done_callback(_log_failure)
            raise OperatorError("the report is still being drawn", hint="retry after some seconds") from None

    def _draw_and_release(self, verdict: Verdict, form: Form, report: Future[str]) -> None:
        try:
            report.set_result(self._kept(verdict, form) or self._drawn(verdict, form))
        except BaseException as error:
            report.set_exception(error)
        finally:
            self._drawing.release()

    def _kept(self, verdict: Verdict, form: Form) -> str | None:
        return self.store.read(verdict.model, report_id(verdict.verdict_id, verdict.revision), form)

    def _drawn(self, verdict: Verdict, form: Form) -> str:
        drawn = self._draw(verdict)
        forms: dict[Form, str] = {"evidently": drawn.run, "json": drawn.numbers, "html": drawn.page}
        drawn_id = report_id(verdict.verdict_id, verdict.revision)
        self.store.write(verdict.model, drawn_id, {one: text for one, text in forms.items() if text})
        earlier = (report_id(verdict.verdict_id, number) for number in range(1, verdict.revision))
        self.store.remove(verdict.model, earlier)
        self.retention.apply(verdict.model)
        return forms[form]

    def _draw(self, verdict: Verdict) -> Drawn:
        reference = self.references.get(verdict.model, verdict.version)
        measured = self._with_scores_of_inputs(verdict)
        span = Span(verdict.window_start, verdict.window_end)
        rows = self.lake_reader.rows(verdict.model, reference.loop, span, verdict.generation, "inputs")
        seed = sample_seed(verdict.model, verdict.version, verdict.window_end)
        window_sample, reference_sample = (
            sample(rows, self.max_rows, seed),
            sample(reference.rows, self.max_rows, seed),
        )
        samples = [
            Sample(
                column.name,
                column.kind,
                window_sample.columns[column.name],
                reference_sample.columns[column.name],
                _threshold(measured, column.feature.name, column.summary),
                method_of(reference.loop.drift, column.kind, column),
            )
            for column in _order(measured, reference.columns)
        ]
        answers = [
            Sample(
                answer.name,
                answer.kind,
                window_sample.predictions[answer.name],
                reference_sample.predictions[answer.name],
                _threshold(measured, "", answer.summary),
                method_of(reference.loop.drift, answer.kind),
            )
            for answer in prediction_columns(reference.loop)
        ]
        title = (
            f"{verdict.model}, {span.start:%Y-%m-%d %H:%M} to {span.end:%Y-%m-%d %H:%M} UTC: {verdict.state}"
        )
        return self.drawer.draw(
            Heading(
                f"{title} (version {short(verdict.version)})",
                (verdict.explanation, *metric_texts(verdict)),
                verdict.window_end,
                {
                    "verdict": verdict.verdict_id,
                    "revision": str(verdict.revision),
                    "state": verdict.state,
                    "version": verdict.version,
                },
            ),
            [*answers[:MAX_COLUMNS], *samples][: MAX_COLUMNS + 1],
        )

    def _with_scores_of_inputs(self, verdict: Verdict) -> Verdict:
        """The verdict whose scores are drawn: for one on performance, that on the inputs of the same window."""
        if verdict.detector != "performance":
            return verdict
        try:
            return self.verdicts.get(cause_key(verdict.model, "inputs", verdict.version, verdict.window_end))
        except NotFound:
            return verdict


def _log_failure(report: Future[str]) -> None:
    """Nobody waits for this report any more: only the log tells why it was not drawn."""
    if error := report.exception():
        _log.warning("report_not_drawn", exc_info=error)


def _order(verdict: Verdict, columns: tuple[Column, ...]) -> list[Column]:
    """Drifted features first, as the verdict orders them, then others with scores; personal data stay out of reports."""
    rank = {feature: place for place, feature in enumerate(verdict.top_drifted_features)}
    scored = {score.feature for score in verdict.scores if score.signal == "feature"}
    shown = [column for column in columns if not column.feature.personal]

    def order(column: Column) -> tuple[int, bool]:
        return rank.get(column.feature.name, len(rank)), column.feature.name not in scored

    return sorted(shown, key=order)


def metric_texts(verdict: Verdict) -> list[str]:
    """A line of the metrics of the window, and one of the losses and metrics of each slice."""
    parts: dict[str, list[MetricValue]] = {}
    for metric in verdict.metrics:
        parts.setdefault(metric.slice, []).append(metric)
    return [
        f"{f'Slice {name}' if name else 'Metrics'} ({found[0].outcomes} outcomes): "
        + ", ".join(f"{one.name} {_number(one.value)} (reference {_number(one.reference)})" for one in found)
        for name, found in parts.items()
    ]


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def _threshold(verdict: Verdict, feature: str, summary: str) -> float:
    for score in verdict.scores:
        method, _, of = score.method.partition(".")
        about = score.feature == feature and score.signal in ("feature", "prediction")
        if about and method != "new_category_share" and of == summary:
            return score.threshold
    return 0.0
