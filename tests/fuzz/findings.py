"""What a fuzz found, and its figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.growth import MIB, Held
from tests.fuzz.wire import WireRequest

SERVER_ERROR = "undeclared 5xx"
HANG = "hang"
NO_ANSWER = "no answer"
ADMITTED = "admitted without the scope"
ENDED = "process ended"
GROWTH = "growth"
LOGGED = "unknown error in a log"
UNDOCUMENTED = "not as documented"
KINDS = (SERVER_ERROR, HANG, NO_ANSWER, ADMITTED, ENDED, GROWTH, LOGGED, UNDOCUMENTED)
SHOWN_BYTES = 1000


@dataclass(frozen=True)
class Finding:
    """One thing that must not happen; `number` is that of the request at the service."""

    kind: str
    service: str
    number: int
    detail: str
    request: WireRequest | None = None

    def text(self, folder: Path) -> str:
        """The finding with what reproduces it; a long request is in a file of `folder`."""
        first = f"{self.kind}: {self.service}, request {self.number}: {self.detail}"
        if self.request is None:
            return first
        raw = b"".join(self.request.segments)
        if len(raw) <= SHOWN_BYTES:
            return f"{first}\n  key: {self.request.credential.name}\n  sent: {raw!r}"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{self.service}-{self.number}.bin"
        file.write_bytes(raw)
        return f"{first}\n  key: {self.request.credential.name}\n  sent: {raw[:SHOWN_BYTES]!r}…\n  all {len(raw)} bytes: {file}"


@dataclass
class Report:
    """The figures of a fuzz."""

    seed: int
    wanted: int
    seconds: float = 0.0
    requests: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    grown: dict[str, Held] = field(default_factory=dict)
    documented: Counter[str] = field(default_factory=Counter)  # requests of Schemathesis

    @property
    def has_passed(self) -> bool:
        """Whether everything was sent, something was answered with success, and nothing was found."""
        return self.requests.total() >= self.wanted > 0 and self.answers["2xx"] > 0 and not self.findings

    def growth(self) -> str:
        """The largest growth after warm-up, of memory and of open files."""
        if not self.grown:
            return "growth not measured"
        memory = max(self.grown, key=lambda name: self.grown[name].memory)
        files = max(self.grown, key=lambda name: self.grown[name].files)
        return (
            f"memory {self.grown[memory].memory / MIB:+.0f} MiB at most ({memory}), "
            f"open files {self.grown[files].files:+d} at most ({files})"
        )

    def line(self, title: str) -> str:
        """The run in one line."""
        found = Counter(finding.kind for finding in self.findings)
        return (
            f"{title}: {'passed' if self.has_passed else 'failed'} in {self.seconds:.0f} s with seed {self.seed}: "
            f"{self.requests.total()} requests ({_listed(self.requests)}); answers: {_listed(self.answers)}; "
            f"by Schemathesis: {_listed(self.documented)}; "
            f"{', '.join(f'{found[kind]} {kind}' for kind in KINDS)}; after warm-up {self.growth()}"
        )


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"
