"""Sentences for a reader of the status page: why nothing is served, why nothing was predicted, what goes wrong. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Notice = dict[str, str]


def find_notices(report: Mapping[str, Any]) -> list[Notice]:
    """What a reader must know first, as `level` (`problem` or `info`) and `text`; empty while all is well."""
    notices = [*_releases(report), *_models(report), *_log(report)]
    if report["ready"] and not report["requests"]["last_prediction_at"]:
        notices.append(
            _hint("No prediction yet since this server started: POST /predict asks for the first one.")
        )
    return notices


def _releases(report: Mapping[str, Any]) -> list[Notice]:
    """Why no model, or not every model, of the release log is here."""
    log = report["release_log"]
    if log["last_error"] and log["seconds_since_read"] is not None:
        return [
            _problem(
                f"The release log cannot be read: {log['last_error']}. What is served stays served; new releases are not seen."
            )
        ]
    if log["last_error"] == "not read yet":
        return [_hint("The release log is being read for the first time.")]
    if log["last_error"]:
        return [
            _problem(
                f"No model is served, because the release log cannot be read: {log['last_error']}. "
                "HOMEOSTAT_MODEL_STORE must name the model store."
            )
        ]
    if not log["models"]:
        return [_hint("No model is released yet: `homeostat deploy` packages and releases one.")]
    named = {model["name"] for model in report["models"]}
    loading = sorted(set(log["followed"]) - named)
    if loading:
        return [_hint(f"{_list(loading)} {'is' if len(loading) == 1 else 'are'} being loaded.")]
    if not log["followed"]:
        return [
            _problem(
                f"The release log has {_list(log['models'])}, and HOMEOSTAT_INFERENCE_MODELS names none of them."
            )
        ]
    return []


def _models(report: Mapping[str, Any]) -> list[Notice]:
    notices = []
    for model in report["models"]:
        if not model["last_error"]:
            continue
        rest = (
            f"Generation {model['generation']} serves on."
            if model["version"]
            else "No version of this model is served."
        )
        notices.append(
            _problem(
                f"The newest release of {model['name']} cannot be served: {model['last_error']}. {rest} It is tried again "
                "by itself; mend the version, deploy another, or `homeostat rollback`."
            )
        )
    return notices


def _log(report: Mapping[str, Any]) -> list[Notice]:
    spool = report["spool"]
    dropped = sum(count for models in spool["dropped"].values() for count in models.values())
    if not dropped and not spool["last_error"]:
        return []
    told = f": {spool['last_error']}" if spool["last_error"] else ""
    rows = f"{dropped:,} {'row was' if dropped == 1 else 'rows were'} answered but not logged"
    return [
        _problem(
            f"{rows if dropped else 'The spool does not work'}{told}. See that the shipper runs and the disk has room."
        )
    ]


def _list(names: list[str]) -> str:
    return ", ".join(names)


def _problem(text: str) -> Notice:
    return {"level": "problem", "text": text}


def _hint(text: str) -> Notice:
    return {"level": "info", "text": text}
