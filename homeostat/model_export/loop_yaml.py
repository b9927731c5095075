"""Writes `loop.yaml` of an exported model. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import yaml

from homeostat.model_export.columns import Column
from homeostat.model_export.named_graph import PROBABILITIES, SCORE, SCORES
from homeostat.model_export.prediction_kind import PredictionKind
from shared.contracts.feature import Feature

# Rows that a window should hold, a quarter above minimum_rows since rates vary.
# The lengths to choose from: (text, seconds, the gate's holdout).
_ROWS_PER_WINDOW = 250
_WINDOWS = (
    ("1h", 3600, "12h"),
    ("6h", 21600, "1d"),
    ("1d", 86400, "3d"),
    ("7d", 604800, "14d"),
    ("30d", 2592000, "30d"),
)
_USUAL = ("1d", 86400, "3d")
# The reference must have `drift.window.minimum_rows`, so no more are asked than are exported; the key is at least 20.
_USUAL_ROWS = 200
_MIN_ROWS = 20
# Of metrics that have the unit of the outcome, the tolerated increase as a share of the loss.
_IN_UNIT_OF_OUTCOME = ("mae", "rmse")
_TOLERATED = 0.05

_TEMPLATE = """\
# The model, its drift detection and its retraining, inferred from a fitted {library} model and {rows} rows.
# Check the ranges: a value outside counts as a data fault, not as drift. docs/configuration.md explains every key.
model: {model}

features:
{features}

prediction: {{{prediction}}}{comment}
{outcome}
drift:
  window: {{every: {window}, minimum_rows: {minimum_rows}}}{rate}
  false_alarms_per_30_days: 1
{loss_increase}
{retraining}"""
_OUTCOME = """\
outcome: {{delay: {delay}}}            # outcomes are usually known after this time
metric: {{name: {metric}}}
"""
_RETRAINING = """\
retraining:
  command: [python, train.py]     # needed for retraining: docs/bring-your-own-model.md
  triggers:
    - {{when: drift, kinds: [performance]}}

gate: {{holdout: {holdout}, minimum_rows: 200, confidence: 0.9}}

# observe · suggest · retrain · approve · auto: which steps run without a person. observe needs no training command.
automation: observe
"""
_NO_RETRAINING = "automation: observe     # an embedding has no loss: deploy new versions yourself\n"


def write_loop_yaml(
    *,
    model: str,
    library: str,
    columns: Sequence[Column],
    kind: PredictionKind,
    event_times: pd.Series[pd.Timestamp] | None,
    rows: int,
    outcome_delay: str,
    loss: float | None = None,
    output: str = "",
) -> str:
    """The text of `loop.yaml`; windows are chosen by the number of rows per time. `output`: its name, if it is not ours.

    `loss`: the model's, in the unit of the metric; None if it is unknown. Of a regression it gives `drift.loss_increase`.
    """
    window, seconds, holdout = _window(event_times)
    return _TEMPLATE.format(
        library=library,
        rows=rows,
        model=model,
        features="\n".join(f"  - {_feature(column)}" for column in columns),
        prediction=_prediction(kind, output),
        comment="   # positive: the class whose outcome is 1" if _names_positive(kind) else "",
        outcome=_OUTCOME.format(delay=outcome_delay, metric=kind.metric) if kind.metric else "",
        window=window,
        rate=_rate(event_times, seconds),
        retraining=_RETRAINING.format(holdout=holdout) if kind.metric else _NO_RETRAINING,
        minimum_rows=max(_MIN_ROWS, min(_USUAL_ROWS, rows)),
        loss_increase=_loss_increase(kind, loss),
    )


def _loss_increase(kind: PredictionKind, loss: float | None) -> str:
    """The line of the key, with its end; empty if the default fits, as it does for losses without a unit."""
    if kind.metric not in _IN_UNIT_OF_OUTCOME or not loss or not np.isfinite(loss):
        return ""
    tolerated = float(f"{_TOLERATED * loss:.2g}")
    share = f"{_TOLERATED:.0%}"
    return f"  loss_increase: {_number(tolerated)}   # about {share} of the {kind.metric} of the exported rows, {loss:.4g}\n"


def _prediction(kind: PredictionKind, output: str) -> str:
    name = _text(output) if output else ""
    if kind.size:
        return f"kind: embedding, size: {kind.size}, output: {name or SCORES}"
    if kind.names:
        return f"kind: values, names: [{', '.join(map(_text, kind.names))}], output: {name or SCORES}"
    if kind.name != "classes":
        positive = f", positive: {_label(kind.positive_label)}" if _names_positive(kind) else ""
        return f"kind: {kind.name}{positive}, output: {name or SCORE}"
    return f"kind: classes, labels: [{', '.join(map(_label, kind.labels))}], output: {name or PROBABILITIES}"


def _names_positive(kind: PredictionKind) -> bool:
    """Whether outcome 1 is another class than 1, which `loop.yaml` must then name."""
    return kind.name == "probability" and kind.positive_label != 1


def _label(label: int | str) -> str:
    return str(label) if isinstance(label, int) else _text(label)


def _feature(column: Column) -> str:
    feature: Feature = column.feature
    parts = [f"name: {_text(feature.name)}", f"type: {feature.type}"]
    if feature.values:
        parts.append(f"values: [{', '.join(map(_text, feature.values))}]")
    if feature.unknown != "refuse":
        parts.append(f"unknown: {feature.unknown}")
    if feature.shape:
        parts.append(f"shape: {list(feature.shape)}")
    for key, bound in (("minimum", feature.minimum), ("maximum", feature.maximum)):
        if bound is not None:
            parts.append(f"{key}: {_number(bound)}")
    if feature.nullable:
        parts.append("nullable: true")
    return f"{{{', '.join(parts)}}}"


def _text(value: str) -> str:
    # `no` and `1` stay text only in quotes. JSON's strings are YAML's, but for what is not printable: YAML refuses U+007F, and
    # reads U+0085 as a line break. Of U+1F600 JSON's escapes would be two characters in YAML.
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", value) and yaml.safe_load(value) == value:
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in quoted)


def _number(value: float) -> str:
    # YAML 1.1 reads 1e+20 as a text: it wants a point in the mantissa.
    text = str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return text if "e" not in text or "." in text else text.replace("e", ".0e")


def _window(event_times: pd.Series[pd.Timestamp] | None) -> tuple[str, int, str]:
    if event_times is None or len(event_times) < 2:
        return _USUAL
    seconds = (event_times.max() - event_times.min()).total_seconds()
    if not seconds or np.isnan(seconds):
        return _USUAL
    rate = len(event_times) / seconds
    return next((one for one in _WINDOWS if rate * one[1] >= _ROWS_PER_WINDOW), _WINDOWS[-1])


def _rate(event_times: pd.Series[pd.Timestamp] | None, window_s: int) -> str:
    """A comment with the rows of a day and of a window; empty without times that differ."""
    if event_times is None or not len(event_times):
        return ""
    seconds = (event_times.max() - event_times.min()).total_seconds()
    if not seconds or np.isnan(seconds):
        return ""
    rate = len(event_times) / seconds
    return f"   # {rate * 86400:.0f} rows a day in these rows: {rate * window_s:.0f} per window"
