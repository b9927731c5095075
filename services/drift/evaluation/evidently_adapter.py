"""Adapter to Evidently: distances of columns and reports. The only module that imports Evidently.

The import waits for the first distance or report: the service is ready before it, and without a released model it never
happens. Distances need Evidently's statistical tests alone; all of Evidently, with its reports, web application and plotly, takes
five times the CPU time of their import and 80 MB more, and waits for the first report. A distance is a single statistical test
with an explicit method: the defaults know neither the window's size nor the cardinality, and a metric draws plots, which takes
fifty times as long.
"""

from __future__ import annotations

import gc
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from threading import Event, Lock, Thread
from typing import Any, Literal

import numpy as np
import orjson

from services.drift.evaluation.columns import Floats, Objects
from services.drift.evaluation.data_quality import missing
from shared.data_checks.report_escaping import escape_script_data
from shared.data_checks.report_page import report_page
from shared.deferred_package import defer_package
from shared.errors import OperatorError
from shared.observability.logs import get_logger

# The methods whose thresholds have a closed form.
METHODS: Mapping[str, str] = {"numeric": "wasserstein", "category": "jensenshannon"}
# Methods that return a p-value. Their score is -log10 p, so that a larger one is more drift, as of all others.
P_VALUES = frozenset({"ks", "cramer_von_mises", "mannw", "t_test", "es", "chisquare"})
_SMALLEST_P = 1e-300
# Evidently divides by at least this.
_FLOOR = 0.001

_log = get_logger(__name__)


@dataclass(frozen=True)
class Sample:
    """One column of the window beside the same column of the reference, with the method and its threshold.

    `method`: a method of Evidently that fits the kind; empty: that of `METHODS`.
    """

    name: str
    kind: Literal["numeric", "category"]
    window: Floats | Objects
    reference: Floats | Objects
    threshold: float = 0.0
    method: str = ""

    @property
    def chosen(self) -> str:
        """The method by name."""
        return self.method or METHODS[self.kind]


@dataclass(frozen=True)
class Heading:
    """What a report is about: `paragraphs` open its page, `at` is its place in a history, `metadata` are kept with it."""

    title: str
    paragraphs: tuple[str, ...]
    at: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Drawn:
    """A report: a whole HTML page, its numbers as JSON, and the evaluation as Evidently loads it; empty without columns."""

    page: str
    numbers: str
    run: str


class EvidentlyAdapter:
    """Distance of a column from its reference, and a drawn report."""

    def __init__(
        self, load: Callable[[], object] | None = None, load_tests: Callable[[], object] | None = None
    ) -> None:
        """`load` imports all of the library, `load_tests` what distances need; a test replaces them."""
        self._library = _Import(load or _library, "the library that draws reports")
        self._tests = _Import(load_tests or _tests, "the library that compares columns")

    def prepare(self, seconds: float) -> None:
        """Wait until all of Evidently is imported, at most so many seconds. Raises OperatorError if it is not."""
        self._library.wait(seconds)

    def prepare_distances(self, seconds: float) -> None:
        """The same of what distances need."""
        self._tests.wait(seconds)

    def warm(self) -> None:
        """Import what distances need of Evidently now. Later calls find it imported."""
        _tests()

    def distance(self, sample: Sample) -> float | None:
        """Distance of the window from the reference by the sample's method: by default Wasserstein over the reference's standard
        deviation, or Jensen-Shannon. A p-value comes as -log10 p.

        None where either side holds fewer than two values, or where no number comes out.
        """
        window, reference = (
            sample.window[~missing(sample.window)],
            sample.reference[~missing(sample.reference)],
        )
        if min(window.size, reference.size) < 2:
            return None
        if sample.kind == "numeric":
            window, reference = _standardised(window.astype(np.float64), reference.astype(np.float64))
        self.warm()  # a library that cannot be imported is no error of one column
        try:
            value = self._measure(replace(sample, window=window, reference=reference))
        except Exception as error:  # an error in one column must not lose the scores of the others
            _log.warning("column_distance_failed", column=sample.name, error=str(error))
            return None
        return value if math.isfinite(value) else None

    def _measure(self, sample: Sample) -> float:
        """The value of Evidently's metric `ValueDrift`, without its plots."""
        tests = _tests()
        window, reference = (tests.series(side) for side in (sample.window, sample.reference))
        if sample.kind == "numeric":
            window, reference = (side[np.isfinite(side)] for side in (window, reference))
            if not (window.size and reference.size):
                raise ValueError("a side holds no finite number")
        method, kind = tests.method(sample.chosen, sample.kind)
        value = float(method(reference, window, kind, sample.threshold).drift_score)
        return -math.log10(max(value, _SMALLEST_P)) if sample.chosen in P_VALUES else value

    def draw(self, heading: Heading, samples: Sequence[Sample]) -> Drawn:
        """The report, columns in the order given. The page loads nothing from outside."""
        usable = [sample for sample in samples if _drawable(sample)]
        if not usable:
            return Drawn(report_page(heading.title, heading.paragraphs), _json({"metrics": []}), "")
        evidently = _library()
        roles = evidently.definition(
            numerical_columns=[sample.name for sample in usable if sample.kind == "numeric"],
            categorical_columns=[sample.name for sample in usable if sample.kind == "category"],
        )
        sides = (
            evidently.dataset.from_pandas(
                evidently.frame({s.name: getattr(s, side) for s in usable}), data_definition=roles
            )
            for side in ("window", "reference")
        )
        metrics = [
            evidently.value_drift(
                column=s.name,
                method=s.chosen,
                threshold=10**-s.threshold if s.chosen in P_VALUES else s.threshold,
            )
            for s in usable
        ]
        snapshot = evidently.report(metrics, include_tests=False).run(
            *sides,
            timestamp=heading.at.astimezone(UTC).replace(tzinfo=None),
            metadata=dict(heading.metadata),
            name=heading.title,
        )
        document = escape_script_data(snapshot.get_html_str(as_iframe=False))
        page = report_page(heading.title, heading.paragraphs, document)
        return Drawn(page, _json(snapshot.dict()), snapshot.dumps())


class _Import:
    """An import in a thread of its own, begun by the first caller that waits for it. It goes on when nobody waits any more."""

    def __init__(self, load: Callable[[], object], what: str) -> None:
        self._load, self._what = load, what
        self._beginning = Lock()
        self._ended: Event | None = None

    def wait(self, seconds: float) -> None:
        """Wait for its end, at most so many seconds. Raises OperatorError if it has not ended."""
        with self._beginning:
            if self._ended is None:
                self._ended = Event()
                Thread(target=self._run, args=(self._ended,), name="import-evidently", daemon=True).start()
        if not self._ended.wait(seconds):
            raise OperatorError(f"{self._what} is being loaded", hint="retry after some seconds")

    def _run(self, ended: Event) -> None:
        try:
            self._load()
        except Exception as error:  # the call that needs it raises it again
            _log.warning("evidently_not_imported", error=str(error))
        finally:
            ended.set()


@dataclass(frozen=True)
class _Tests:
    """What distances use of Evidently and pandas.

    `registered` finds a method by name and kind; `kinds`: Evidently's names of kinds.
    """

    series: Any
    registered: Any
    kinds: Mapping[str, Any]

    def method(self, name: str, kind: str) -> tuple[Any, Any]:
        """A method, and Evidently's name of the kind of column that it is called with."""
        return self.registered(name, self.kinds[kind]), self.kinds[kind]


@dataclass(frozen=True)
class _Library:
    """What reports use of Evidently and pandas."""

    frame: Any
    report: Any
    dataset: Any
    definition: Any
    value_drift: Any


@contextmanager
def _importing() -> Iterator[None]:
    """A fifth of the import is garbage collection, which finds nothing: what is imported stays."""
    os.environ["DO_NOT_TRACK"] = "1"
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@cache
def _tests() -> _Tests:
    with _importing():
        defer_package("evidently")
        from evidently.legacy.calculations.stattests.registry import get_registered_stattest
        from evidently.legacy.core import ColumnType
        from pandas import Series
    return _Tests(
        Series, get_registered_stattest, {"numeric": ColumnType.Numerical, "category": ColumnType.Categorical}
    )


@cache
def _library() -> _Library:
    with _importing():
        from evidently import DataDefinition, Dataset, Report
        from evidently.metrics import ValueDrift
        from pandas import DataFrame
    return _Library(DataFrame, Report, Dataset, DataDefinition, ValueDrift)


def _standardised(window: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """In standard deviations of the reference: Evidently floors its own at 0.001, which hides features in small units.

    A constant reference has no deviation: there its own size, or 1, is the unit, and the floor is taken out again.
    """
    centre, spread = float(reference.mean()), float(reference.std())
    scale = spread if spread > 0 else max(abs(centre), 1.0) / _FLOOR
    return (window - centre) / scale, (reference - centre) / scale


def _drawable(sample: Sample) -> bool:
    return min(int((~missing(side)).sum()) for side in (sample.window, sample.reference)) >= 2


def _json(document: object) -> str:
    return orjson.dumps(_plain(document), option=orjson.OPT_NON_STR_KEYS | orjson.OPT_INDENT_2).decode()


def _plain(value: Any) -> Any:
    """Evidently's answer in types JSON has: numpy numbers as numbers, what is not finite as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    return value if isinstance(value, str | int | bool | type(None)) else str(value)
