"""Reports of verdicts for people: drawn when first requested; the newest of each model are kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Literal, Protocol

from services.drift.evaluation.columns import Column, prediction_columns, sample, sample_seed
from services.drift.evaluation.evidently_adapter import Sample
from services.drift.evaluation.method_thresholds import method_of
from services.drift.monitoring.lake_reader import LakeReader
from services.drift.monitoring.references import References
from services.drift.verdicts.store import VerdictStore
from services.drift.windows import Span
from shared.contracts.manifest import short
from shared.contracts.verdict import Verdict, cause_key
from shared.errors import NotFound
from shared.files import write_atomic

MAX_COLUMNS = 30


class Drawer(Protocol):
    """Draws columns beside their reference; returns HTML and JSON."""

    def draw(self, title: str, explanation: str, samples: list[Sample]) -> tuple[str, str]: ...


@dataclass
class Reports:
    """Files `<folder>/<model>/<verdict_id>.html` and `.json`; `kept` reports per model, those drawn last."""

    folder: Path
    verdicts: VerdictStore
    references: References
    lake_reader: LakeReader
    drawer: Drawer
    max_rows: int = 5000
    kept: int = 20

    def __post_init__(self) -> None:
        self._drawing = Lock()

    def read(self, verdict_id: str, form: Literal["html", "json"]) -> str:
        """The report of a verdict. Raises NotFound, or DependencyUnavailable where its window or reference cannot be read."""
        verdict = self.verdicts.get(verdict_id)
        path = self.folder / verdict.model / f"{verdict.verdict_id}.{form}"
        with self._drawing:
            if not path.exists():
                self._draw(verdict)
            return path.read_text(encoding="utf-8")

    def _draw(self, verdict: Verdict) -> None:
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
        page, document = self.drawer.draw(
            f"{title} (version {short(verdict.version)})",
            verdict.explanation,
            [*answers[:MAX_COLUMNS], *samples][: MAX_COLUMNS + 1],
        )
        folder = self.folder / verdict.model
        folder.mkdir(parents=True, exist_ok=True)
        for form, content in (("json", document), ("html", page)):
            write_atomic(folder / f"{verdict.verdict_id}.{form}", content.encode())
        self._clear(folder, verdict.verdict_id)

    def _with_scores_of_inputs(self, verdict: Verdict) -> Verdict:
        """The verdict whose scores are drawn: for one on performance, that on the inputs of the same window."""
        if verdict.detector != "performance":
            return verdict
        try:
            return self.verdicts.get(cause_key(verdict.model, "inputs", verdict.version, verdict.window_end))
        except NotFound:
            return verdict

    def _clear(self, folder: Path, drawn: str) -> None:
        """Remove all but the newest reports, which are large and can be drawn again, and files of a killed process."""
        pages = [(path.stat().st_mtime_ns, path) for path in folder.glob("[!.]*.html") if path.stem != drawn]
        old = [path for _, path in sorted(pages, reverse=True)[self.kept - 1 :]]
        for path in (*old, *(page.with_suffix(".json") for page in old), *folder.glob(".*")):
            path.unlink(missing_ok=True)


def _order(verdict: Verdict, columns: tuple[Column, ...]) -> list[Column]:
    """Drifted features first, as the verdict orders them, then others with scores; personal data stay out of reports."""
    rank = {feature: place for place, feature in enumerate(verdict.top_drifted_features)}
    scored = {score.feature for score in verdict.scores if score.signal == "feature"}
    shown = [column for column in columns if not column.feature.personal]

    def order(column: Column) -> tuple[int, bool]:
        return rank.get(column.feature.name, len(rank)), column.feature.name not in scored

    return sorted(shown, key=order)


def _threshold(verdict: Verdict, feature: str, summary: str) -> float:
    for score in verdict.scores:
        method, _, of = score.method.partition(".")
        about = score.feature == feature and score.signal in ("feature", "prediction")
        if about and method != "new_category_share" and of == summary:
            return score.threshold
    return 0.0
