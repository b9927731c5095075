"""Samples of Prometheus text: the few series a reader asks for, found without parsing the rest. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

_LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


@dataclass(frozen=True)
class Sample:
    """One series: `name`, `labels` and finite `value`."""

    name: str
    labels: Mapping[str, str]
    value: float


class Samples:
    """The samples of the wanted names in one scrape."""

    def __init__(self, text: str, wanted: Collection[str]) -> None:
        self._found = list(_read(text, wanted))

    def of(self, name: str) -> list[Sample]:
        """Every sample of one name."""
        return [sample for sample in self._found if sample.name == name]

    def value(self, name: str, **labels: str) -> float | None:
        """The value of the one series with these labels; None where there is none."""
        for sample in self.of(name):
            if sample.labels == labels:
                return sample.value
        return None

    def total(self, name: str) -> float | None:
        """The sum over all series of a name; None where there is none."""
        found = [sample.value for sample in self.of(name)]
        return sum(found) if found else None


def _read(text: str, wanted: Collection[str]) -> Iterator[Sample]:
    for line in text.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        if name not in wanted:
            continue
        match = _LINE.match(line)
        if match is None:
            continue
        try:
            value = float(match[3])
        except ValueError:
            continue
        if math.isfinite(value):
            labels = {label: _plain(said) for label, said in _LABEL.findall(match[2] or "")}
            yield Sample(match[1], labels, value)


def _plain(said: str) -> str:
    return re.sub(r"\\[\\\"n]", lambda found: _ESCAPES[found[0]], said)
