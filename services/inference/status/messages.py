"""Messages on the status page: why no model is live, why there are no predictions yet, which errors there are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Message = dict[str, str]


def find_messages(report: Mapping[str, Any]) -> list[Message]:
    """Messages with `level` (`problem` or `info`) and `text`; empty if there is nothing to report."""
    messages = [
        *_releases(report),
        *_models(report),
        *_other_workers(report),
        *_memory(report),
        *_log(report),
    ]
    if report["ready"] and not report["requests"]["last_prediction_at"]:
        messages.append(
            _hint("No prediction yet since this server started. Send the first one with POST /predict.")
        )
    return messages


def _releases(report: Mapping[str, Any]) -> list[Message]:
    """Why none, or not every model of the release log is loaded."""
    log = report["release_log"]
    if log["last_error"] and log["seconds_since_read"] is not None:
        return [
            _problem(
                f"The release log cannot be read: {log['last_error']}. Live models stay live; new releases are not detected."
            )
        ]
    if log["last_error"] == "not read yet":
        return [_hint("The release log is being read for the first time.")]
    if log["last_error"]:
        return [
            _problem(
                f"No model is live: the release log cannot be read: {log['last_error']}. "
                "Check HOMEOSTAT_MODEL_STORE."
            )
        ]
    if not log["models"]:
        return [_hint("No model is released yet. Release one with `homeostat deploy`.")]
    named = {model["name"] for model in report["models"]}
    loading = sorted(set(log["followed"]) - named)
    if loading:
        return [_hint(f"{_list(loading)} {'is' if len(loading) == 1 else 'are'} being loaded.")]
    if not log["followed"]:
        return [
            _problem(
                f"The release log has {_list(log['models'])}, but HOMEOSTAT_INFERENCE_MODELS lists none of them."
            )
        ]
    return []


def _models(report: Mapping[str, Any]) -> list[Message]:
    messages = []
    for model in report["models"]:
        if not model["last_error"]:
            continue
        if model["demand_load_error"]:
            messages.append(
                _problem(
                    f"Generation {model['generation']} of {model['name']} is live but not in memory, and cannot be loaded: "
                    f"{model['last_error']}. The next requests for it try again."
                )
            )
            continue
        rest = (
            f"Generation {model['generation']} stays live."
            if model["version"]
            else "No version of this model is live."
        )
        messages.append(
            _problem(
                f"The newest release of {model['name']} cannot be loaded: {model['last_error']}. {rest} Loading is retried "
                "automatically. Fix the version, deploy another one, or run `homeostat rollback`."
            )
        )
    return messages


def _other_workers(report: Mapping[str, Any]) -> list[Message]:
    """Releases that another process of this server could not load, and this one could."""
    own = {model["name"] for model in report["models"] if model["last_error"]}
    return [
        _problem(
            f"Worker {worker['worker']} cannot load the newest release of {name}: {problem}. It still answers with the release "
            "before it, if there is one. Loading is retried automatically."
        )
        for worker in report["workers"]
        if worker["worker"] != report["worker"]
        for name, problem in worker["release_errors"].items()
        if name not in own
    ]


def _memory(report: Mapping[str, Any]) -> list[Message]:
    """More models in use than fit: requests wait for loads half of the time, as in the alert HomeostatModelsThrashing."""
    memory = report["model_memory"]
    if memory["bound_bytes"] is None or memory["load_seconds_last_minute"] <= 30:
        return []
    return [
        _problem(
            f"In the last minute, {memory['loads_last_minute']} models were loaded on demand, which took "
            f"{memory['load_seconds_last_minute']:.0f} s in all; {memory['loaded']} are in memory. Raise "
            "HOMEOSTAT_INFERENCE_MODEL_MEMORY_MIB, or add servers."
        )
    ]


def _log(report: Mapping[str, Any]) -> list[Message]:
    spool = report["spool"]
    dropped = sum(count for models in spool["dropped"].values() for count in models.values())
    if not dropped and not spool["last_error"]:
        return []
    reason = f": {spool['last_error']}" if spool["last_error"] else ""
    rows = f"{dropped:,} {'row was' if dropped == 1 else 'rows were'} not logged"
    return [
        _problem(
            f"{rows if dropped else 'The spool cannot be written'}{reason}. Check the shipper and the free disk space."
        )
    ]


def _list(names: list[str]) -> str:
    return ", ".join(names)


def _problem(text: str) -> Message:
    return {"level": "problem", "text": text}


def _hint(text: str) -> Message:
    return {"level": "info", "text": text}
