"""What three services report about each model, in one record: what is served, the last verdict, the losses; and waiting runs."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from cli.next_step import APPROVAL
from local_stack.addresses import Addresses
from shared.access.caller import NotPermitted, Unauthenticated
from shared.errors import HomeostatError
from shared.http.service_client import items

TIMEOUT_S = 3.0
NEWEST_VERDICTS = 200


@dataclass(frozen=True)
class ModelOverview:
    """One model; text is empty and a loss None where nothing is known.

    `state` is the worst of `inputs` and `performance`, the states of drift's two clocks; a model without a loss has no
    `performance`. `outcomes` says in words how many outcomes arrived, and how late. `alarm` is the state of the last verdict of
    stream detection, between windows, and `alarm_at` its event time. `sides`: canary and shadow.
    `verdict` is the last one about a window with rows, which `verdict_generation` answered; `empty_until` is the end of the
    last window after it, if that had none.
    `watch` is the state of the watch of the last watched release, and `watch_reason` why it ended.
    Losses are retraining's comparison on the last scheduled window; without one, `served_loss` is that of the verdict.
    """

    name: str
    version: str = ""
    generation: int = 0
    verdict: str = ""
    window_end: str = ""
    explanation: str = ""
    served_loss: float | None = None
    baseline_loss: float | None = None
    metric: str = ""
    empty_until: str = ""
    verdict_generation: int = 0
    state: str = ""
    inputs: str = ""
    performance: str = ""
    outcomes: str = ""
    alarm: str = ""
    alarm_at: str = ""
    sides: str = ""
    watch: str = ""
    watch_reason: str = ""

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        return asdict(self)


@dataclass(frozen=True)
class Overview:
    """All models by name, the runs that wait for approval, newest first, and the services that gave no answer.

    `problems`: why they gave none, by service: it cannot be reached, or refuses the key of this command.
    `unacknowledged`: unacknowledged decisions, grouped by model and issue, as `GET /decisions` returns them.
    """

    models: tuple[ModelOverview, ...]
    waiting_runs: tuple[dict[str, Any], ...]
    unacknowledged: tuple[dict[str, Any], ...]
    problems: Mapping[str, str]

    @property
    def unavailable(self) -> tuple[str, ...]:
        """The services that gave no answer."""
        return tuple(self.problems)


NOT_AVAILABLE = Overview((), (), (), dict.fromkeys(("inference", "drift", "retraining"), "cannot be reached"))


def read_overview(where: Addresses) -> Overview:
    """Ask the services, at the same time; one that cannot be reached leaves its fields empty."""
    requests = [
        ("inference", "/status.json", "models"),
        ("drift", f"/verdicts?limit={NEWEST_VERDICTS}", "verdicts"),
        ("retraining", "/status", "models"),
        ("drift", "/status", "models"),
        ("retraining", "/decisions?limit=1", "unacknowledged"),
        # By state: many newer runs would hide those that wait.
        *(("retraining", f"/runs?state={state}", "runs") for state in APPROVAL),
    ]
    with ThreadPoolExecutor(max_workers=len(requests)) as pool:
        found = list(pool.map(lambda request: _read(where, *request), requests))
    problems: dict[str, str] = {}
    for request, answer in zip(requests, found, strict=True):
        if isinstance(answer, str):
            problems.setdefault(request[0], answer)
    lists = [[] if isinstance(answer, str) else answer for answer in found]
    waiting = [run for runs in lists[5:] for run in runs]
    return Overview(
        models=merge(*lists[:4]),
        waiting_runs=tuple(sorted(waiting, key=lambda run: str(run.get("created_at")), reverse=True)),
        unacknowledged=tuple(lists[4]),
        problems=problems,
    )


def merge(
    served: list[dict[str, Any]],
    verdicts: list[dict[str, Any]],
    compared: list[dict[str, Any]],
    monitored: list[dict[str, Any]],
) -> tuple[ModelOverview, ...]:
    """One record per served model; `verdicts` are the newest first."""
    models = []
    for one in sorted(served, key=lambda each: str(each["name"])):
        name = str(one["name"])
        of_model = [verdict for verdict in verdicts if verdict.get("model") == name]
        last, empty_until = _last_verdict(of_model)
        clocks: dict[str, Any] = next((each for each in monitored if each.get("model") == name), {})
        alarm: dict[str, Any] = (clocks.get("stream") or {}).get("last_verdict") or {}
        losses = next((each for each in compared if name in (each.get("name"), each.get("model"))), {})
        watch: dict[str, Any] = losses.get("watch") or {}
        if losses.get("served_loss") is None:
            measured = next((verdict for verdict in of_model if verdict.get("loss") is not None), {})
            losses = {"served_loss": measured.get("loss"), "metric": _metric(measured)}
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
                empty_until=empty_until,
                verdict_generation=int(last.get("generation") or 0),
                sides=", ".join(map(_side, one.get("sides") or ())),
                state=str(clocks.get("state") or last.get("state") or ""),
                inputs=str((clocks.get("inputs") or {}).get("state") or ""),
                performance=str((clocks.get("performance") or {}).get("state") or ""),
                outcomes=str((clocks.get("outcomes") or {}).get("summary") or ""),
                alarm=str(alarm.get("state") or ""),
                alarm_at=str(alarm.get("window_end") or ""),
                watch=str(watch.get("state") or ""),
                watch_reason=str(watch.get("reason") or ""),
            )
        )
    return tuple(models)


def _side(side: dict[str, Any]) -> str:
    """A canary or shadow as inference has it: `canary 0123456789ab 10%`."""
    if side.get("last_error"):
        return f"{side['slot']} cannot be loaded"
    return f"{side['slot']} {str(side['version'])[:12]} {100 * float(side['share']):.3g}%"


def _last_verdict(newest_first: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """The last verdict about a window with rows, and the end of the last window if that is a later one without rows."""
    if not newest_first:
        return {}, ""
    newest = newest_first[0]
    judged = next((verdict for verdict in newest_first if verdict.get("rows") != 0), newest)
    end = str(newest.get("window_end") or "")
    return judged, end if newest is not judged and end > str(judged.get("window_end") or "") else ""


def _metric(verdict: dict[str, Any]) -> str:
    """The metric of a verdict's loss: the method of its score, or of the score against the metric's floor."""
    methods = [score["method"] for score in verdict.get("scores") or () if score["signal"] == "performance"]
    return str(methods[0]).removesuffix("_floor") if methods and verdict.get("loss") is not None else ""


def _read(where: Addresses, service: str, path: str, name: str) -> list[dict[str, Any]] | str:
    """The list in the answer, or why there is none."""
    try:
        with where.client(service, timeout_s=TIMEOUT_S) as client:
            body = client.get(path)
    except (NotPermitted, Unauthenticated) as error:
        return f"refuses this command: {error}"
    except HomeostatError:
        return "cannot be reached"
    found = body.get(name, []) if isinstance(body, dict) else body
    if isinstance(found, dict):  # keyed by model
        found = [{"name": key, **value} for key, value in found.items() if isinstance(value, dict)]
    return items([one for one in found if isinstance(one, dict)], name)
