"""What three services report about each model, in one record: what is served, the last verdict, the losses; and waiting runs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from cli.next_step import APPROVAL
from local_stack.addresses import Addresses
from shared.errors import HomeostatError
from shared.http.service_client import ServiceClient, items

TIMEOUT_S = 3.0
NEWEST_VERDICTS = 200


@dataclass(frozen=True)
class ModelOverview:
    """One model. Losses are None until drift has evaluated a window of both versions; text is empty where nothing is known."""

    name: str
    version: str = ""
    generation: int = 0
    verdict: str = ""
    window_end: str = ""
    explanation: str = ""
    served_loss: float | None = None
    baseline_loss: float | None = None
    metric: str = ""

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        return asdict(self)


@dataclass(frozen=True)
class Overview:
    """All models by name, the runs that wait for approval, newest first, and the services that could not be reached."""

    models: tuple[ModelOverview, ...]
    waiting_runs: tuple[dict[str, Any], ...]
    unavailable: tuple[str, ...]


def read_overview(where: Addresses) -> Overview:
    """Ask the services, at the same time; one that cannot be reached leaves its fields empty."""
    requests = [
        ("inference", where.inference, "/status.json", "models"),
        ("drift", where.drift, f"/verdicts?limit={NEWEST_VERDICTS}", "verdicts"),
        ("retraining", where.retraining, "/status", "models"),
        # By state: many newer runs would hide those that wait.
        *(("retraining", where.retraining, f"/runs?state={state}", "runs") for state in APPROVAL),
    ]
    with ThreadPoolExecutor(max_workers=len(requests)) as pool:
        found = list(pool.map(lambda request: _read(*request), requests))
    failed = [request[0] for request, answer in zip(requests, found, strict=True) if answer is None]
    waiting = [run for runs in found[3:] for run in runs or []]
    return Overview(
        models=merge(*(answer or [] for answer in found[:3])),
        waiting_runs=tuple(sorted(waiting, key=lambda run: str(run.get("created_at")), reverse=True)),
        unavailable=tuple(dict.fromkeys(failed)),
    )


def merge(
    served: list[dict[str, Any]], verdicts: list[dict[str, Any]], compared: list[dict[str, Any]]
) -> tuple[ModelOverview, ...]:
    """One record per served model; of its verdicts the newest, which comes first."""
    models = []
    for one in sorted(served, key=lambda each: str(each["name"])):
        name = str(one["name"])
        last = next((verdict for verdict in verdicts if verdict.get("model") == name), {})
        losses = next((each for each in compared if name in (each.get("name"), each.get("model"))), {})
        models.append(
            ModelOverview(
                name=name,
                version=str(one.get("version") or ""),
                generation=int(one.get("generation") or 0),
                verdict=str(last.get("state") or ""),
                window_end=str(last.get("window_end") or ""),
                explanation=str(last.get("explanation") or ""),
                served_loss=losses.get("served_loss"),
                baseline_loss=losses.get("baseline_loss"),
                metric=str(losses.get("metric") or ""),
            )
        )
    return tuple(models)


def _read(service: str, base_url: str, path: str, name: str) -> list[dict[str, Any]] | None:
    try:
        with ServiceClient(service, base_url, timeout_s=TIMEOUT_S) as client:
            body = client.get(path)
    except HomeostatError:
        return None
    found = body.get(name, []) if isinstance(body, dict) else body
    if isinstance(found, dict):  # keyed by model
        found = [{"name": key, **value} for key, value in found.items() if isinstance(value, dict)]
    return items([one for one in found if isinstance(one, dict)], name)
