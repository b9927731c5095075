"""The way of the data: spool, Kafka's readers, what is served against what is released."""

from __future__ import annotations

from collections.abc import Iterator

from cli.checks.check_result import Finding
from cli.checks.http_client import ask_json, ask_text, total
from local_stack.addresses import addresses
from local_stack.settings import LocalStackSettings
from local_stack.state import read_state
from shared.contracts.health_limits import MAXIMUM_SINK_LAG, SPOOL_NEARLY_FULL
from shared.errors import DependencyUnavailable, HomeostatError

LAG = "homeostat_sink_lag_records"


def spool(settings: LocalStackSettings) -> Iterator[Finding]:
    """How full the spool is: at its bound answers are no longer logged."""
    try:
        report = ask_json("inference", addresses(settings).inference, "/status.json")
        held, bound = int(report["spool"]["bytes"]), int(report["spool"]["bound"])
    except (DependencyUnavailable, KeyError, TypeError):
        return  # inference's own line says so
    share = held / bound if bound else 0.0
    found = f"{held / 2**20:.1f} of {bound / 2**20:.0f} MiB, {share:.0%}"
    if share < SPOOL_NEARLY_FULL:
        yield Finding("spool", "ok", found)
    else:
        yield Finding(
            "spool", "failure", f"{found}; at its bound answers are no longer logged", "homeostat status"
        )


def lag(settings: LocalStackSettings) -> Iterator[Finding]:
    """How many records the sink has not read yet."""
    state = read_state(settings.home)
    port = state.ports.get("sink") if state is not None else None
    if port is None:
        return
    try:
        behind = total(ask_text("sink", f"http://{settings.host}:{port}", "/metrics"), LAG)
    except DependencyUnavailable:
        return
    if behind is None:
        yield Finding("consumer lag", "ok", "nothing read yet")
    elif behind > MAXIMUM_SINK_LAG:
        log = settings.home / "logs" / "sink.log"
        yield Finding("consumer lag", "failure", f"the sink is {behind:.0f} records behind", f"less {log}")
    else:
        yield Finding("consumer lag", "ok", f"{behind:.0f} records")


def releases(settings: LocalStackSettings) -> Iterator[Finding]:
    """Whether inference serves what the release log says."""
    from shared.stores.model_store import open_model_store

    try:
        report = ask_json("inference", addresses(settings).inference, "/status.json")
        served = {str(item["name"]): int(item["generation"]) for item in report["models"]}
    except (DependencyUnavailable, KeyError, TypeError):
        return
    try:
        store = open_model_store(settings.model_store_url)
        newest = {model: store.latest_generation(model) for model in store.models()}
    except (HomeostatError, OSError) as error:
        said = error.message if isinstance(error, HomeostatError) else str(error)
        yield Finding("releases", "failure", said, "check HOMEOSTAT_MODEL_STORE")
        return
    if not newest:
        yield Finding("releases", "ok", "none yet; `homeostat deploy` makes the first")
    for model, generation in newest.items():
        serving = served.get(model, 0)
        if serving == generation:
            yield Finding(f"release of {model}", "ok", f"generation {generation} is served")
        else:
            found = f"generation {generation} is released, {serving or 'none'} is served"
            yield Finding(f"release of {model}", "failure", found, f"homeostat releases {model}")
