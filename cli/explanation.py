"""The chain behind a prediction, version, run or cause as one paragraph."""

from __future__ import annotations

from typing import Any

from cli.next_step import next_step
from cli.output import short_version

SHOWN_VALUES = 10


def explain(kind: str, name: str, chain: dict[str, Any]) -> str:
    """Plain sentences: what it is, which version answered, the run that made it, why the run started, what came of it."""
    sentences = [
        _subject(kind, name, chain),
        _decision(chain) if kind in ("run", "cause") else "",
        _run(chain),
        _release(chain),
        _watch(chain),
        _improvable(chain),
        "" if kind in ("run", "cause") else _decision(chain),
        _predictions(chain),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _subject(kind: str, name: str, chain: dict[str, Any]) -> str:
    version = chain.get("version") or {}
    if kind == "prediction":
        row = chain.get("prediction") or {}
        label = f" with label {row['label']}," if row.get("label") is not None else " with"
        score = f"{label} score {row['score']:.4g}" if isinstance(row.get("score"), int | float) else ""
        if score and row.get("positive") is not None:
            score += f", the probability of {row['positive']!r}" + ("," if row.get("event_time") else "")
        if isinstance(row.get("values"), dict):
            score = f" with {_numbers(row['values'])}"
        model, used = row.get("model") or version.get("model") or "the model", _short(row.get("version"))
        asked = f" at event time {_time(row['event_time'])}" if row.get("event_time") else ""
        if row.get("source") == "import":
            imported = f"Prediction {name} is a row of history of {model}{asked}, which was imported"
            return f"{imported}: no version answered it.{_outcome(row)}"
        generation = row.get("generation", "unknown")
        if row.get("slot") == "canary":
            generation = f"{generation}, the canary"
        answered = f"Prediction {name} was answered by {model}, version {used}, generation {generation}{score}{asked}."
        return f"{answered}{_outcome(row)}"
    if kind == "version":
        return f"Version {_short(version.get('version') or name)} is a version of {version.get('model', 'its model')}."
    if kind == "run":
        run = chain.get("run") or {}
        return f"Run {name} of {run.get('model', 'its model')} is in state {run.get('state', 'unknown')}."
    cause = chain.get("cause") or {}
    return f"Cause {name} concerns {cause.get('model', 'a model')}.{_judged(cause)}{_revisions(cause)}"


def _judged(cause: dict[str, Any]) -> str:
    """What a verdict judged, and until when."""
    detector = str((cause.get("verdict") or {}).get("detector") or "")
    subject = {
        "inputs": "on the inputs of the window",
        "performance": "on the performance of the window",
        "stream": "of stream detection on the rows",
    }.get(detector)
    if subject is None or not cause.get("window_end"):
        return ""
    return f" It is the verdict {cause.get('state')} {subject} until {_time(cause['window_end'])}."


def _revisions(cause: dict[str, Any]) -> str:
    changes = [
        f"from {one.get('state_before')} to {one.get('state')} (revision {one.get('revision')})"
        for one in cause.get("revisions") or ()
    ]
    return f" Late or corrected outcomes changed it {', then '.join(changes)}." if changes else ""


def _outcome(row: dict[str, Any]) -> str:
    outcome = row.get("outcome")
    if outcome is None:
        return ""
    if isinstance(outcome, dict):
        outcome = _numbers(outcome)
    elif isinstance(outcome, float):
        outcome = f"{outcome:.6g}"
    observed = f", observed at {_time(row['observed_at'])}" if row.get("observed_at") else ""
    return f" Its outcome is {outcome}{observed}."


def _numbers(by_name: dict[str, float]) -> str:
    listed = [f"{name} {number:.4g}" for name, number in list(by_name.items())[:SHOWN_VALUES]]
    return ", ".join(listed) + (", …" if len(by_name) > SHOWN_VALUES else "")


def _run(chain: dict[str, Any]) -> str:
    run, version = chain.get("run") or {}, chain.get("version") or {}
    origin = version.get("origin") or {}
    if not run:
        return _deployment(origin) if version and origin.get("kind") == "deployment" else ""
    name, state = run.get("run_id", ""), run.get("state", "in an unknown state")
    reason = str(run.get("reason") or "").rstrip(".")
    message = f": {reason}" if reason else ""
    if state == "suggested":
        return f"Run {name} is suggested; {next_step(run)}{message}."
    if run.get("attempts") == 0:
        return f"Run {name} is {state}, without a training{message}."
    snapshot = chain.get("snapshot") or {}
    rows = f" on {snapshot['train_rows']} rows" if snapshot.get("train_rows") else ""
    made = f"made version {_short(run['version'])}" if run.get("version") else "made no version"
    if state == "waiting_for_approval":
        return f"Run {name} trained{rows} and {made}; {next_step(run)}{message}."
    return f"Run {name} trained{rows} and {made}; it is {state}{message}."


def _deployment(origin: dict[str, Any]) -> str:
    until = origin.get("trained_until")
    if origin.get("snapshot"):  # the digest of the rows that `homeostat deploy` trained on
        return "It was deployed by hand" + (f", trained on rows until {_time(until)}." if until else ".")
    newest = f"; its newest reference row is from {_time(until)}" if until else ""
    return f"It was trained outside of Homeostat and deployed by hand, so its training rows are not recorded{newest}."


def _release(chain: dict[str, Any]) -> str:
    version = chain.get("version") or {}
    release = chain.get("release") or next(iter(version.get("releases") or []), None)
    if not release:
        return ""
    by = f" by {release['actor']}" if release.get("actor") else ""
    released = (
        f"It was released as generation {release.get('generation')} on {_time(release.get('released_at'))}"
    )
    return f"{released}{by} ({release.get('reason')})."


def _improvable(chain: dict[str, Any]) -> str:
    """Which earlier versions lose less, if it is served."""
    found = (chain.get("version") or {}).get("improvable") or []
    return " ".join(f"It is improvable: {one['text']}." for one in found if one.get("text"))


def _watch(chain: dict[str, Any]) -> str:
    """How the version did beside the one before it, after its last watched release."""
    watches = (chain.get("version") or {}).get("watches") or []
    if not watches:
        return ""
    watch = watches[-1]
    state, reason = str(watch.get("state") or ""), str(watch.get("reason") or "").rstrip(".")
    found = {
        "watching": "it is being watched",
        "rolling_back": "the loop is rolling it back",
        "kept": "it was watched and kept",
        "rolled_back": f"the loop rolled it back, as generation {watch.get('rollback_generation')}",
        "worse": "it was worse than the version before it; a person had deployed it, so the loop did not roll it back",
        "superseded": "another release ended its watch",
        "failed": "it was worse than the version before it and could not be rolled back",
    }.get(state, f"its watch is {state}")
    return f"After generation {watch.get('generation')} {found}{f': {reason}' if reason else ''}."


def _decision(chain: dict[str, Any]) -> str:
    decision = chain.get("decision") or {}
    if not decision:
        return ""
    reason = str(decision.get("reason") or decision.get("reason_code") or "").rstrip(".")
    return f"The policy decided to {decision.get('action', 'act')}: {reason}."


def _predictions(chain: dict[str, Any]) -> str:
    found = chain.get("predictions") or {}
    if not found.get("count"):
        return ""
    return (
        f"The version has answered {found['count']} predictions, "
        f"from {_time(found.get('first_event_time'))} to {_time(found.get('last_event_time'))}."
    )


def _short(version: object) -> str:
    return short_version(str(version or "unknown"))


def _time(value: object) -> str:
    return str(value or "an unknown time")[:16].replace("T", " ")
