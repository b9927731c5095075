"""Faults that are inferred from how values are distributed: is it the fault, or did the world change?

A detector sees 64 bins of a few rows. Here the rows themselves are repaired, and compared with the reference by Evidently's
distance with the threshold of windows, which knows serial correlation:

- as they are, the values lie above their threshold   - once repaired, they lie within it, and nearer than after a plain shift

Only then they are faulty. A shift that no repair explains is drift. So is one of rows that come in groups with one value, such as
the flights of an hour with the weather of three airports: a handful of values fits some unit or another column by chance, so
nothing is inferred of a column with far fewer different values than as many rows of the reference. New categories are faulty if
they are above their threshold and loop.yaml declares which there may be, without them; in an open list they are drift. Frozen
sensors, and values out of their declared range, are recognised by the data-quality checks of windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from services.drift.evaluation.classify import Subject
from services.drift.evaluation.columns import Column, Floats, Rows
from services.drift.evaluation.data_quality import missing
from services.drift.evaluation.evaluator import Evaluator
from services.drift.evaluation.reference_profile import Reference
from services.drift.stream.alarm import Alarm, Method
from services.drift.stream.statistics.broken_values import FACTORS
from services.drift.verdicts.stream_evidence import faults_of
from shared.contracts.verdict import Verdict

# False-alarm rate of the comparison of repaired rows: a true fault is rejected so often.
LEVEL = 0.02
MOST_COLUMNS = 8
FEWEST_ROWS = 8
# Of the different values that as many rows of the reference have, the rows must have this share.
DISTINCT_SHARE = 0.5
# Methods whose faults can be recognised in rows without the detector.
REPAIRABLE: tuple[Method, ...] = ("units", "swapped", "out_of_range", "new_category")
_QUANTILES = np.linspace(0.1, 0.9, 9)


@dataclass(frozen=True)
class InferredFaults:
    """Compares repaired rows with the reference. `level`: false-alarm rate of the comparison as they are."""

    evaluator: Evaluator
    level: float = 0.05

    def of_alarm(self, alarm: Alarm, subject: Subject, rows: Rows, reference: Reference) -> tuple[str, ...]:
        """Columns that a fault explains, among them a blamed one. A fault seldom begins with a tile: then the newest half or
        quarter of the rows has it alone."""
        names = tuple(blame.column for blame in alarm.blamed)
        for newest in (1, 2, 4):
            part = rows.take(np.arange(len(rows) - len(rows) // newest, len(rows)))
            if len(part) >= FEWEST_ROWS and (
                found := self.explained(alarm.method, names, subject, part, reference)
            ):
                return found
        return ()

    def lasts(self, verdict: Verdict, subject: Subject, rows: Rows, reference: Reference) -> bool:
        """Whether a fault that an alarm's verdict names explains these later rows, too."""
        return any(
            self.explained(method, tuple(columns), subject, rows, reference)
            for method, columns in faults_of(verdict).items()
        )

    def explained(
        self, method: str, names: tuple[str, ...], subject: Subject, rows: Rows, reference: Reference
    ) -> tuple[str, ...]:
        """Columns that a fault explains, among them one of these.

        The method of an alarm is that of its first tile: swapped columns and changed units are first seen as values out of range.
        """
        if method == "new_category":
            return tuple(self._undeclared(names, subject, rows, reference))
        # A statistic of a picture or the length of a text has no unit: a lamp that fades scales every pixel.
        numeric = [column for column in reference.columns if column.kind == "numeric" and not column.summary]
        found: dict[str, None] = {}
        for repaired in _repairs(names[:MOST_COLUMNS], numeric, rows, reference):
            if found.keys() & repaired.keys():
                continue
            own = tuple(column for column in numeric if column.name in repaired)
            changed = replace(rows, columns={**rows.columns, **repaired})
            if self._differ(subject, rows, reference, own) and not self._differ(
                subject, changed, reference, own, repaired=True
            ):
                found.update(dict.fromkeys(repaired))
        return tuple(found)

    def _undeclared(
        self, names: tuple[str, ...], subject: Subject, rows: Rows, reference: Reference
    ) -> Iterator[str]:
        for column in reference.columns:
            if column.name not in names or not column.feature.values:
                continue
            scores = self.evaluator.drift_scores(
                subject, rows, replace(reference, columns=(column,)), self.level
            )
            now, before = rows.columns[column.name], reference.rows.columns[column.name]
            known = set(before[~missing(before)].tolist())
            new = [value for value in now[~missing(now)].tolist() if value not in known]
            undeclared = sum(1 for value in new if value not in column.feature.values)
            above = any(score.exceeded for score in scores if score.method == "new_category_share")
            if above and 2 * undeclared > len(new):
                yield column.name

    def _differ(
        self,
        subject: Subject,
        rows: Rows,
        reference: Reference,
        columns: tuple[Column, ...],
        *,
        repaired: bool = False,
    ) -> bool:
        """Whether the values of all columns differ from the reference; of repaired rows, whether those of any do."""
        level = LEVEL if repaired else self.level
        scores = self.evaluator.drift_scores(
            subject, rows, replace(reference, columns=columns), level / len(columns)
        )
        names = {score.feature for score in scores if score.exceeded and score.signal != "prediction"}
        differing = [column.feature.name in names for column in columns]
        return any(differing) if repaired else all(differing)


def _repairs(
    names: tuple[str, ...], numeric: list[Column], rows: Rows, reference: Reference
) -> Iterator[Mapping[str, Floats]]:
    """For each of these columns: the column of which it has the values, put back; and its values in the unit that fits best."""
    values = {column.name: rows.columns[column.name].astype(np.float64) for column in numeric}
    known = {name: reference.rows.columns[name].astype(np.float64) for name in values}
    fits = {name: _Fit.of(before) for name, before in known.items()}
    fewest = {name: DISTINCT_SHARE * _distinct(before, len(rows)) for name, before in known.items()}
    several = {name: _distinct(now, len(rows)) for name, now in values.items()}
    for name in names:
        if name not in values or not np.isfinite(values[name]).any() or not fits[name].spread > 0:
            continue
        others = [
            other
            for other in values
            if other != name
            and several[name] >= fewest[other]
            and several[other] >= fewest[name]
            and fits[name].beats_shift(values[other], values[name])
            and fits[other].beats_shift(values[name], values[other])
        ]
        if others:
            partner = min(others, key=lambda other: fits[name].error(values[other]))
            yield {name: values[partner], partner: values[name]}
        if several[name] < fewest[name]:
            continue
        units = [values[name] / factor for factor in FACTORS] + [values[name] * factor for factor in FACTORS]
        units += [(values[name] - 32) / 1.8, values[name] * 1.8 + 32]
        best = min(units, key=fits[name].error)
        if fits[name].beats_shift(best, values[name]):
            yield {name: best}


def _distinct(values: Floats, rows: int) -> int:
    """Different values among at most this many, spread over all of them: neighbours may have come in one group."""
    spread = values[:: max(1, values.size // max(1, rows))]
    return int(np.unique(spread[np.isfinite(spread)]).size)


@dataclass(frozen=True)
class _Fit:
    """How near values are to a column of the reference: the mean difference of their deciles; `spread`: from first to last."""

    wanted: Floats
    spread: float

    @classmethod
    def of(cls, before: Floats) -> _Fit:
        if not np.isfinite(before).any():
            return cls(np.zeros(_QUANTILES.size), 0.0)
        # Where most rows have one value, as hours without rain do, a unit small enough turns any value into that one.
        deciles = np.nanquantile(before, _QUANTILES)
        return cls(deciles, float(deciles[-1] - deciles[0]))

    def error(self, values: Floats) -> float:
        if not np.isfinite(values).any():
            return np.inf
        return float(np.abs(np.nanquantile(values, _QUANTILES) - self.wanted).mean())

    def beats_shift(self, repaired: Floats, values: Floats) -> bool:
        """Whether the repaired values are nearer than the values as they are would be after the best shift."""
        if not np.isfinite(values).any():
            return False
        shifted = values - np.nanmedian(values) + self.wanted[_QUANTILES.size // 2]
        return self.error(repaired) < self.error(shifted)
