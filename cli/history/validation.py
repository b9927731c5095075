"""Rows of a file against `loop.yaml`: those that the lake can store, and each that it cannot, with the reason. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cli.history.columns import Problems, feature_values, numbers, objects, texts, times
from cli.history.raw_rows import IDENTITY, RawRows, Refused
from shared.contracts.event_time import EARLIEST, MAX_AHEAD
from shared.contracts.lake_schema import KEY, LABEL, SCORE, TIMESTAMP, VALUE, VALUES, feature_column
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.outcome import expected_outcome, fitting, numbers_by_name
from shared.errors import ProjectError
from shared.personal_data.protection import protected_rows
from shared.stores.lake_scan import CLOCK_SLACK

OBSERVED = "observed_at"
HAS_OUTCOME = "has_outcome"


@dataclass(frozen=True)
class Columns:
    """Names of a file's columns: event time, outcome, answer, key of what the row is about, time of the outcome."""

    time: str = "event_time"
    outcome: str = "outcome"
    score: str = SCORE
    key: str = KEY
    observed: str = OBSERVED

    def check(self, loop: LoopSpec, path: object, names: Iterable[str]) -> list[str]:
        """The columns of the file that are not imported. Raises ProjectError where one is missing that is needed."""
        has = list(names)
        missing = [
            name for name in (self.time, *(feature.name for feature in loop.features)) if name not in has
        ]
        if missing:
            raise ProjectError(
                f"{path} has no column {', '.join(missing)}; it has {', '.join(has)}",
                hint=f"it needs a column for each feature of {loop.model}, and {self.time}; --time-column names another one",
            )
        used = {self.time, self.outcome, self.score, self.key, self.observed, IDENTITY}
        used |= {feature.name for feature in loop.features}
        return [name for name in has if name not in used]


@dataclass(frozen=True)
class Validation:
    """`now`: no row is later than a day after it. `pseudonymise`: of values that are stored as pseudonyms."""

    loop: LoopSpec
    columns: Columns
    now: datetime
    pseudonymise: Callable[[str], str]

    def checked(self, raw: RawRows) -> tuple[pa.Table, list[Refused]]:
        """The valid rows in the order of the file, as they may be stored, and those that are not valid.

        Columns: event_time, f_<feature>, key, score, has_outcome, observed_at, the column of the outcome, and what identifies the
        row beside these. A row is refused once, for the first field that is wrong.
        """
        count = len(raw.lines)
        problems: dict[str, Problems] = {}
        columns: dict[str, pa.Array] = {}
        moments, problems[self.columns.time] = times(self._column(raw, self.columns.time, count))
        self._check_bounds(moments, problems[self.columns.time])
        for feature in self.loop.features:
            columns[feature.name], problems[feature.name] = feature_values(
                feature, self._column(raw, feature.name, count)
            )
        protected = protected_rows(pa.table(columns), self.loop.features, self.pseudonymise)
        stored = {feature_column(name): protected[name] for name in protected.column_names}
        outcomes = self._outcomes(raw, moments, count, problems)
        scores, problems[self.columns.score] = pa.nulls(count, pa.float64()), {}
        if self.loop.prediction.has_score:
            scores, problems[self.columns.score] = numbers(self._column(raw, self.columns.score, count))
        table = pa.table(
            {
                "event_time": moments,
                **stored,
                KEY: self._keys(texts(self._column(raw, self.columns.key, count))),
                SCORE: scores,
                **outcomes,
                IDENTITY: texts(self._column(raw, IDENTITY, count)),
            }
        )
        wrong = _first_problems(problems)
        refused = [*raw.refused, *(Refused(raw.lines[place], *wrong[place]) for place in sorted(wrong))]
        if wrong:
            valid = np.ones(count, bool)
            valid[list(wrong)] = False
            table = table.filter(pa.array(valid))
        return table, sorted(refused, key=lambda one: one.line)

    def _column(self, raw: RawRows, name: str, count: int) -> pa.Array:
        found = raw.columns.get(name) if name else None
        if found is None:
            return pa.nulls(count, pa.string())
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found

    def _check_bounds(self, moments: pa.Array, problems: Problems) -> None:
        for place, moment in enumerate(moments.to_pylist()):
            if moment is None:
                problems.setdefault(place, "is missing")
            elif not EARLIEST <= moment <= self.now + MAX_AHEAD:
                problems[place] = (
                    f"is {moment.isoformat()}; expected a time from {EARLIEST:%Y-%m-%d} to one day after now"
                )

    def _keys(self, keys: pa.Array) -> pa.Array:
        """As inference stores the keys of requests."""
        personal = self.loop.key.personal
        if not personal:
            return keys
        if personal == "drop":
            return pa.nulls(len(keys), pa.string())
        return pa.array(
            [None if key is None else self.pseudonymise(key) for key in keys.to_pylist()], pa.string()
        )

    def _outcomes(
        self, raw: RawRows, moments: pa.Array, count: int, problems: dict[str, Problems]
    ) -> dict[str, pa.Array]:
        given = self._column(raw, self.columns.outcome, count)
        prediction = self.loop.prediction
        wrong: Problems = {}
        problems[self.columns.outcome] = wrong
        if not prediction.has_loss:
            return {HAS_OUTCOME: pa.array([False] * count), OBSERVED: pa.nulls(count, TIMESTAMP)}
        if prediction.kind == "values":
            name, values = VALUES, self._by_name(given, wrong)
        elif prediction.kind == "classes":
            name, values = LABEL, texts(given)
            self._check_fit(values, pc.fill_null(fitting(prediction, values), False), wrong)
        else:
            name, (values, converted) = VALUE, numbers(given)
            wrong.update(converted)
            self._check_fit(values, pc.fill_null(fitting(prediction, values), False), wrong)
        observed, problems[self.columns.observed] = times(self._column(raw, self.columns.observed, count))
        if self.loop.outcome is not None:
            later = pc.add(moments, pa.scalar(self.loop.outcome.delay, pa.duration("us")))
            observed = pc.coalesce(observed, later)
        early = pc.less(observed, pc.subtract(moments, pa.scalar(CLOCK_SLACK, pa.duration("us"))))
        for place in np.flatnonzero(pc.fill_null(early, False).to_numpy(zero_copy_only=False)).tolist():
            problems[self.columns.observed].setdefault(
                place, "is more than a day before the row: such an outcome does not count"
            )
        known = values.is_valid()
        return {HAS_OUTCOME: known, OBSERVED: pc.if_else(known, observed, None), name: values}

    def _by_name(self, given: pa.Array, wrong: Problems) -> pa.Array:
        found: list[list[tuple[str, float]] | None] = []
        for place, value in enumerate(objects(given)):
            named = None if value is None else numbers_by_name(self.loop.prediction, value)
            missing = isinstance(value, Mapping) and all(part is None for part in value.values())
            if value is not None and named is None and not missing:
                wrong[place] = f"does not fit; expected {expected_outcome(self.loop.prediction)}"
            found.append(None if named is None else list(named.items()))
        return pa.array(found, pa.map_(pa.string(), pa.float64()))

    def _check_fit(self, values: pa.Array, fits: pa.Array, wrong: Problems) -> None:
        unfit = pc.and_(values.is_valid(), pc.invert(fits))
        for place in np.flatnonzero(unfit.to_numpy(zero_copy_only=False)).tolist():
            wrong.setdefault(
                place, f"is {values[place].as_py()!r}; expected {expected_outcome(self.loop.prediction)}"
            )


def _first_problems(problems: Mapping[str, Problems]) -> dict[int, tuple[str, str]]:
    """Per row, the first field that is wrong, and what is."""
    found: dict[int, tuple[str, str]] = {}
    for field, wrong in problems.items():
        for place, problem in wrong.items():
            found.setdefault(place, (field, problem))
    return found
