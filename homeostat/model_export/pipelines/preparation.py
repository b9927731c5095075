"""The fitted steps before an estimator, asked what they make of one raw column at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from homeostat.model_export.columns import Column, missing_value
from homeostat.model_export.pipelines.bisection import STEPS, bisect
from homeostat.model_export.pipelines.linear_steps import Line, fit_line
from homeostat.model_export.pipelines.other_values import MAX_KEYS, has_more, other_values, whole_numbers
from homeostat.model_export.prediction_kind import Floats
from homeostat.model_export.probes import UNSEEN
from homeostat.model_export.text.vectorizers import parts
from homeostat.model_export.trees.ensemble import NEARLY, CategoryTable, Ensemble

_ROWS = 200
_SPREADS = 2000.0


class NotColumnwise(Exception):
    """A prepared column depends on several raw ones, or on one in a way that trees cannot follow."""


@dataclass(frozen=True)
class PreparedValues:
    """One raw column: the value at each position of its table, and what the steps make of it, [positions, prepared columns]."""

    table: CategoryTable
    prepared: Floats


@dataclass(frozen=True)
class Gaps:
    """Of one raw number: the prepared `columns` that are missing whatever it is, and the `numbers` of which others are."""

    columns: frozenset[int]
    numbers: tuple[float, ...]


class Preparation:
    """The fitted steps, asked about one raw column at a time; the others hold the values of the first row."""

    def __init__(self, steps: Any, columns: Sequence[Column], rows: pd.DataFrame, ensemble: Ensemble) -> None:
        self._steps = steps
        self._columns = columns
        self._rows = rows
        self._ensemble = ensemble
        self._named = hasattr(steps, "feature_names_in_")
        self._ranges: dict[int, tuple[float, float]] = {}

    def is_number(self, raw: int) -> bool:
        return self._columns[raw].feature.type in ("number", "integer") and not self._columns[raw].keys

    def has_categories(self) -> bool:
        """Whether some encoder of the steps was fitted with whole numbers."""
        return next(self._known(int), None) is not None

    def is_sparse(self) -> bool:
        """Whether the steps return a sparse matrix."""
        return hasattr(self._transform(self._rows.iloc[:2]), "tocoo")

    def gaps(self, raw: int, prepared: Sequence[int]) -> Gaps:
        """Where prepared columns of a raw number are missing to the trees: zeros that a sparse matrix does not store."""
        if not self._ensemble.gaps_are_missing and self._ensemble.missing_number is None:
            return Gaps(frozenset(), ())
        seen = self._rows[self._columns[raw].source].dropna().to_numpy(dtype=np.float64)
        zero = [0.0] if self._takes(raw, 0.0) else []
        values = np.unique([*seen, *zero, *self._grid(raw)])
        gone = np.isnan(self.of(raw, values.tolist())[:, list(prepared)])
        never = np.asarray(gone.all(axis=0))
        columns = frozenset(np.asarray(prepared)[never].tolist())
        return Gaps(columns, tuple(values[gone[:, ~never].any(axis=1)].tolist()))

    def sources(self, used: Sequence[int]) -> dict[int, int]:
        """The raw column of each prepared column: changing any other one changes nothing."""
        picked = self._rows.iloc[np.unique(np.linspace(0, len(self._rows) - 1, _ROWS).astype(int))]
        picked = picked.reset_index(drop=True)
        plain = self._prepare(picked)
        found: dict[int, int] = {}
        for raw, column in enumerate(self._columns):
            changed = picked.copy()
            # Each row gets another row's value.
            changed[column.source] = picked[column.source].to_numpy()[::-1]
            changed[column.source] = changed[column.source].astype(picked[column.source].dtype)
            made = self._prepare(changed)
            different = ~np.isclose(made, plain, rtol=0, atol=0, equal_nan=True).all(axis=0)
            with suppress(Exception):  # the steps refuse values that the rows lack
                known = list(self._known(str if column.feature.type == "category" else int))
                others = other_values(column, picked[column.source], known)
                made = self._prepare(self._with(picked, raw, others))
                different |= ~np.isclose(made, plain, rtol=0, atol=0, equal_nan=True).all(axis=0)
            for place in np.flatnonzero(different):
                if int(place) in found:
                    raise NotColumnwise(f"prepared column {place} depends on several raw columns")
                found[int(place)] = raw
        if unknown := [column for column in used if column not in found]:
            raise NotColumnwise(f"prepared column {unknown[0]} does not change with any raw column")
        return {column: found[column] for column in used}

    def is_monotonic(self, raw: int, prepared: Sequence[int]) -> bool:
        """Whether the prepared columns only rise, or only fall, with the raw number."""
        made = self.of(raw, self._grid(raw).tolist())[:, list(prepared)]
        if self._ensemble.gaps_are_missing or self._ensemble.missing_number is not None:
            # Of a gap nothing is known. Elsewhere NaN is what a function makes of numbers beyond its domain.
            made = made[~np.isnan(made).any(axis=1)]
        steps = np.diff(made, axis=0)
        return bool(((steps >= 0).all(axis=0) | (steps <= 0).all(axis=0)).all())

    def line(self, raw: int) -> Line | None:
        """The prepared columns as lines of the raw number, or of its logarithm, root or square; None if one is not."""
        grid = self._grid(raw)
        values = self.of(raw, grid.tolist())
        missing = self.of(raw, [None]) if self._columns[raw].feature.nullable else values[:1]
        return fit_line(grid, values, missing, ends=self._ends(raw))

    def _ends(self, raw: int) -> tuple[float, float]:
        values = self._rows[self._columns[raw].source].dropna().astype("float64")
        return float(values.min()), float(values.max())

    def _grid(self, raw: int) -> Floats:
        """Values of the rows, others within the valid range, and both ends of a wide one, ascending."""
        values = np.unique(self._rows[self._columns[raw].source].dropna().to_numpy(dtype=np.float64))
        feature = self._columns[raw].feature
        within = np.linspace(*self._ends(raw), _ROWS)
        if feature.type == "integer":
            within = whole_numbers(feature).astype(np.float64)
        low, high = self._range(raw)
        # The steps refuse numbers beyond.
        within = within[(within >= low) & (within <= high)]
        return np.array(sorted({low, *values[:: max(1, len(values) // 500)], values[-1], *within, high}))

    def tabulate(self, raw: int) -> PreparedValues:
        """The prepared columns for every known value, then for an unseen and for a missing one."""
        column = self._columns[raw]
        seen = self._rows[column.source].dropna().unique().tolist()
        if column.feature.type == "category":
            keys: list[Any] = list(dict.fromkeys([*column.keys, *self._known(str)]))
            unseen: Any = UNSEEN
        elif column.feature.type == "boolean":
            keys, unseen = [0, 1], 0
        elif column.feature.type == "integer":
            keys = sorted({*map(int, seen), *map(int, column.keys), *self._known(int)})
            unseen = max(keys[-1], int(column.feature.maximum or 0)) + 1
            keys = sorted({*keys, *self._unlike(raw, unseen, keys)})
        else:
            keys = []
        if not 0 < len(keys) <= MAX_KEYS:
            raise NotColumnwise(f"column {column.source} has too many values for a table")
        prepared = self.of(raw, keys)
        width = prepared.shape[1]
        ends = [self._of_unknown(raw, unseen, width), self._of_unknown(raw, None, width)]
        return PreparedValues(CategoryTable(tuple(keys)), np.vstack([prepared, *ends]))

    def _unlike(self, raw: int, unseen: int, keys: Sequence[int]) -> list[int]:
        """Whole numbers of the valid range, beside the keys, of which the steps make something else than of an unseen one."""
        others = np.setdiff1d(whole_numbers(self._columns[raw].feature), keys)
        try:
            made = self.of(raw, [unseen, *others.tolist()])
        except Exception:  # the steps refuse numbers they do not know
            return []
        unlike = others[~np.isclose(made[1:], made[:1], rtol=0, atol=0, equal_nan=True).all(axis=1)]
        if len(unlike) and has_more(self._columns[raw].feature):
            raise NotColumnwise(f"column {self._columns[raw].source} has too many values for a table")
        return [int(number) for number in unlike]

    def crossings(
        self, raw: int, thresholds: Sequence[tuple[int, float]], *, strict: bool
    ) -> dict[tuple[int, float], tuple[float, bool]]:
        """For each threshold of a prepared column the largest raw value before it is crossed, and whether the column rises."""
        places = np.array([place for place, _ in thresholds])
        limits = np.array([limit for _, limit in thresholds])
        low, high = (np.full(len(limits), end) for end in self._range(raw))

        def on_left(values: Floats) -> npt.NDArray[np.bool_]:
            flat = values.ravel()
            chosen = np.arange(len(flat)), np.resize(places, len(flat))
            prepared = self.of(raw, flat.tolist())[chosen]
            gaps = np.isnan(prepared)
            if gaps.any():
                # A gap: its neighbour is not missing.
                beside = np.where(gaps, np.nextafter(flat, np.inf), flat)
                prepared = self.of(raw, beside.tolist())[chosen]
            prepared = prepared.reshape(values.shape)
            return np.asarray(prepared < limits if strict else prepared <= limits)

        first, last = self.of(raw, [low[0]])[0][places], self.of(raw, [high[0]])[0][places]
        rising = last >= first
        low, _ = bisect(low, high, lambda middles: on_left(middles) == rising)
        start, end = (np.full(len(limits), edge) for edge in self._range(raw))
        low = np.where(on_left(start) == rising, low, -np.inf)
        low = np.where(on_left(end) == rising, np.inf, low)
        return {
            threshold: (float(value), bool(up))
            for threshold, value, up in zip(thresholds, low, rising, strict=True)
        }

    def of(self, raw: int, values: Sequence[Any]) -> Floats:
        """The prepared columns for these values of one raw column."""
        return self._prepare(
            self._with(self._rows.iloc[np.zeros(len(values), dtype=int)].reset_index(drop=True), raw, values)
        )

    def _with(self, frame: pd.DataFrame, raw: int, values: Sequence[Any]) -> pd.DataFrame:
        """The frame with these values in one raw column, in a type that holds them."""
        column = self._columns[raw]
        kind = self._rows[column.source].dtype
        if isinstance(kind, pd.CategoricalDtype):
            kind = pd.CategoricalDtype(
                list(dict.fromkeys([*kind.categories, *(v for v in values if v is not None)]))
            )
        elif self.is_number(raw) or (isinstance(kind, np.dtype) and kind.kind == "b" and None in values):
            kind = np.dtype(np.float64)
        gone = missing_value(self._rows[column.source])
        given = [gone if value is None else value for value in values]
        return frame.assign(**{column.source: pd.Series(given, index=frame.index, dtype=object).astype(kind)})

    def _of_unknown(self, raw: int, value: Any, width: int) -> Floats:
        try:
            return self.of(raw, [value])
        except Exception:  # the steps refuse it; nothing is known of what would come
            return np.full((1, width), np.nan)

    def _prepare(self, frame: pd.DataFrame) -> Floats:
        made = self._transform(frame)
        wide: Floats
        if hasattr(made, "tocoo"):
            stored = made.tocoo()
            wide = np.full(made.shape, np.nan if self._ensemble.gaps_are_missing else 0.0)
            wide[stored.row, stored.col] = stored.data
        else:
            wide = np.asarray(made, dtype=np.float64)
        # The trees of these libraries see float32.
        wide = wide.astype(np.float32).astype(np.float64) if self._ensemble.float32 else wide
        if self._ensemble.missing_number is not None:
            marked = [self._ensemble.number_is_missing(column) for column in range(wide.shape[1])]
            wide[np.array(marked) & (np.abs(wide - self._ensemble.missing_number) <= NEARLY)] = np.nan
        return wide

    def _transform(self, frame: pd.DataFrame) -> Any:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return self._steps.transform(frame if self._named else frame.to_numpy())

    def _range(self, raw: int) -> tuple[float, float]:
        """Far below and above the rows, as far as the steps take numbers: Box-Cox takes positive ones only."""
        if raw not in self._ranges:
            low, high = self._ends(raw)
            spread = _SPREADS * ((high - low) or abs(high) or 1.0)
            self._ranges[raw] = self._taken(raw, low, low - spread), self._taken(raw, high, high + spread)
        return self._ranges[raw]

    def _taken(self, raw: int, inside: float, outside: float) -> float:
        """`outside`, or the number next to it that the steps take; they take `inside`."""
        if self._takes(raw, outside):
            return outside
        for _ in range(STEPS):
            middle = inside + (outside - inside) / 2
            inside, outside = (middle, outside) if self._takes(raw, middle) else (inside, middle)
        return inside

    def _takes(self, raw: int, value: float) -> bool:
        try:
            self.of(raw, [value])
        except Exception:  # whatever a step raises for values it refuses
            return False
        return True

    def _known(self, kind: type) -> Iterator[Any]:
        """Categories that any encoder of the steps was fitted with: those of other columns do no harm."""
        for encoder in parts(self._steps):
            for values in getattr(encoder, "categories_", ()):
                for value in np.asarray(values).tolist():
                    if isinstance(value, kind) and not isinstance(value, bool) and value != "":
                        yield value
