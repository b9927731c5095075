"""Evidence of a stream detector as scores of its verdict: `<method>_evidence`, of a measured column `<method>_evidence.<column>`.

In nats, or as a rise of the loss; see services/drift/stream/blame.py. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from services.drift.stream.alarm import Alarm
from shared.contracts.verdict import Score, Verdict

_EVIDENCE = "_evidence"


def evidence_scores(alarms: Sequence[Alarm]) -> Iterator[Score]:
    """What the detectors saw."""
    for alarm in alarms:
        for blame in alarm.blamed:
            yield Score(
                signal=alarm.signal,
                feature="" if alarm.signal == "prediction" else blame.feature,
                method=f"{blame.method}{_EVIDENCE}"
                + (f".{blame.column}" if blame.column != blame.feature else ""),
                value=blame.evidence,
                threshold=blame.threshold,
                exceeded=blame.evidence > blame.threshold,
            )


def faults_of(verdict: Verdict) -> Mapping[str, list[str]]:
    """The columns that a verdict of data fault names, by the method that found them."""
    found: dict[str, list[str]] = {}
    for score in verdict.scores if verdict.state == "data_fault" else ():
        method, separator, column = score.method.partition(_EVIDENCE)
        if separator and score.signal == "data":
            found.setdefault(method, []).append(column.removeprefix(".") or score.feature)
    return found
