"""`make fuzz`: send hostile requests to every service; fail on a server error that is not declared, a hang or growth."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.campaign import Bounds, fuzz_services
from tests.fuzz.findings import LOGGED, UNDOCUMENTED, Finding, Report
from tests.fuzz.growth import MIB
from tests.fuzz.installation import SHARES, logged_errors, running_services
from tests.fuzz.openapi import DOCUMENTS, check_document
from tests.parallel_commands import descendants_ended

SHOWN = 20
FOLDER = Path("build/fuzz")


def show(report: Report, title: str = "make fuzz", folder: Path = FOLDER) -> int:
    """Print the findings, what each service grew by, and the line of figures; returns the exit status."""
    for finding in report.findings[:SHOWN]:
        print(finding.text(folder))
    if len(report.findings) > SHOWN:
        print(f"and {len(report.findings) - SHOWN} more findings")
    for name, grown in report.grown.items():
        sent = report.requests[name]
        print(
            f"{name}: {sent} requests; after warm-up memory {grown.memory / MIB:+.1f} MiB, open files {grown.files:+d}"
        )
    print(report.line(title), flush=True)
    return int(not report.has_passed)


def main(arguments: Sequence[str]) -> int:
    """Run the fuzz of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=sorted(SHARES), default=list(SHARES))
    parser.add_argument(
        "--examples", type=int, default=100, help="requests of Schemathesis per operation and phase"
    )
    parser.add_argument("--logs", type=Path, help="folder that the services' logs are copied to")
    options = parser.parse_args(arguments)
    # Requests may not be answered faster because nobody else computes: the services are what is examined.
    os.nice(5)
    with descendants_ended(), tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with running_services(folder, tuple(options.only)) as (services, credentials):
            report = fuzz_services(
                services, credentials, requests=options.requests, seed=options.seed, bounds=Bounds()
            )
            for service in services:
                # Without retraining the console answers every action with 503.
                if service.name in DOCUMENTS and (service.name != "console" or "retraining" in options.only):
                    # Each of the console's pages waits for services that are not there, such as Prometheus.
                    examples = min(options.examples, 20) if service.name == "console" else options.examples
                    checked = check_document(service, credentials[0], examples=examples, seed=options.seed)
                    report.documented[service.name] = checked.requests
                    if checked.failures:
                        print(checked.output)
                        detail = f"{checked.failures} answers are not as documented"
                        report.findings.append(Finding(UNDOCUMENTED, service.name, 0, detail))
        for error, times in logged_errors(folder).items():
            name, _, text = error.partition(": ")
            report.findings.append(Finding(LOGGED, name, report.requests[name], f"{times} times {text}"))
        if options.logs is not None:
            options.logs.mkdir(parents=True, exist_ok=True)
            for log in folder.glob("*.log"):
                shutil.copy(log, options.logs)
        return show(report)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
