"""The data path: spool, consumer lag of the sink, and served against released generation."""

from __future__ import annotations

from collections.abc import Iterator

from cli.checks.check_result import CheckResult
from cli.checks.http_client import TIMEOUT_S, get_text, metric_sum
from local_stack.addresses import addresses
from local_stack.settings import LocalStackSettings
from local_stack.state import read_state
from shared.contracts.health_limits import MAXIMUM_SINK_LAG, SPOOL_NEARLY_FULL
from shared.errors import DependencyUnavailable, HomeostatError

LAG = "homeostat_sink_lag_records"


def spool(settings: LocalStackSettings) -> Iterator[CheckResult]:
    """How full the spool is. Once it is full, rows are no longer logged, or requests get 503."""
    try:
        report = addresses(settings).client("inference", timeout_s=TIMEOUT_S).get("/status.json")
        used, limit = int(report["spool"]["bytes"]), int(report["spool"]["bound"])
    except (HomeostatError, KeyError, TypeError):
        return  # reported by the check of inference
    share = used / limit if limit else 0.0
    found = f"{used / 2**20:.1f} of {limit / 2**20:.0f} MiB, {share:.0%}"
    if share < SPOOL_NEARLY_FULL:
        yield CheckResult("spool", "ok", found)
    else:
        yield CheckResult(
            "spool",
            "failure",
            f"{found}; once it is full, rows are no longer logged, or requests get 503",
            "homeostat status",
        )


def lag(settings: LocalStackSettings) -> Iterator[CheckResult]:
    """How many records the sink has not read yet."""
    state = read_state(settings.home)
    if state is None or "sink" not in state.ports:
        return
    base = state.base_url("sink") or f"http://{settings.host}:{state.ports['sink']}"
    try:
        behind = metric_sum(get_text("sink", base, "/metrics", addresses(settings).key.for_url(base)), LAG)
    except DependencyUnavailable:
        return
    if behind is None:
        yield CheckResult("consumer lag", "ok", "no records read yet")
    elif behind > MAXIMUM_SINK_LAG:
        log = settings.home / "logs" / "sink.log"
        yield CheckResult(
            "consumer lag", "failure", f"the sink is {behind:.0f} records behind", f"less {log}"
        )
    else:
        yield CheckResult("consumer lag", "ok", f"{behind:.0f} records")


def releases(settings: LocalStackSettings) -> Iterator[CheckResult]:
    """Whether inference serves the newest release."""
    from shared.models.signed_versions.installation_keys import Keys
    from shared.stores.model_store import open_model_store

    try:
        report = addresses(settings).client("inference", timeout_s=TIMEOUT_S).get("/status.json")
        served = {str(item["name"]): int(item["generation"]) for item in report["models"]}
    except (HomeostatError, KeyError, TypeError):
        return
    try:
        keys = Keys(settings.home / "keys")
        # On a machine without keys, releases are read as they are.
        store = open_model_store(settings.model_store_url, keys if keys.verifying.exists() else None)
        models = store.models()
    except (HomeostatError, OSError) as error:
        message = error.message if isinstance(error, HomeostatError) else str(error)
        yield CheckResult("releases", "failure", message, "check HOMEOSTAT_MODEL_STORE")
        return
    if not models:
        yield CheckResult("releases", "ok", "none yet; `homeostat deploy` releases the first version")
    for model in models:
        serving = served.get(model, 0)
        try:
            newest = store.live_release(model)
        except HomeostatError as error:
            yield CheckResult(f"release of {model}", "failure", error.message, error.hint)
            continue
        generation = newest.generation if newest is not None else 0
        if serving == generation:
            yield CheckResult(f"release of {model}", "ok", f"generation {generation} is served")
        else:
            found = f"generation {generation} is released, {serving or 'none'} is served"
            yield CheckResult(f"release of {model}", "failure", found, f"homeostat releases {model}")
