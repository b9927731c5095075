"""Reads from the metrics of an inference server what the guard of a phase compares. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from services.retraining.watch.operational_guard import WITHIN, Counters
from shared.contracts.manifest import short

_REQUESTS = "homeostat_inference_slot_requests"
_SECONDS = "homeostat_inference_slot_duration_seconds"
_ALL_REQUESTS = "homeostat_inference_request_duration_seconds"
_SHARE = "homeostat_inference_slot_share"
_LOAD_FAILED = "homeostat_inference_slot_failed"
_FAMILIES = (_REQUESTS, _SECONDS, _ALL_REQUESTS, _SHARE, _LOAD_FAILED)


@dataclass(frozen=True)
class ServerCounters:
    """`counters`: see `operational_guard.Counters`. `serves`: whether the version is in memory in this slot."""

    counters: Counters
    serves: bool
    load_failed: bool


def read_counters(text: str, *, model: str, slot: str, version: str, live: str) -> ServerCounters:
    """From the text that a server's /metrics returns; `live`: the live version.

    Beside a canary, requests of the live version are those that took the same path; beside a shadow, all of them.
    """
    mine = f'model="{model}"'
    lines = [line for line in text.splitlines() if line.startswith(_FAMILIES) and mine in line]
    counters: dict[str, float] = {}
    serves = load_failed = False
    for family in text_string_to_metric_families("\n".join([*lines, ""])):
        for sample in family.samples:
            labels, name = sample.labels, sample.name
            which = labels.get("slot", "live")
            if labels.get("model") != model or which not in (slot, "live"):
                continue
            if name == _LOAD_FAILED:
                load_failed = load_failed or (which == slot and sample.value > 0)
                continue
            if labels.get("version") != short(live if which == "live" else version):
                continue
            side = "live" if which == "live" else "side"
            if name == _SHARE:
                serves = serves or side == "side"
            elif name == f"{_REQUESTS}_total" and (side == "side" or slot == "canary"):
                counters[f"{side}.{labels['result']}"] = sample.value
            elif name == f"{_SECONDS}_bucket":
                counters[f"{side}.{WITHIN}{labels['le']}"] = sample.value
            elif name == f"{_ALL_REQUESTS}_count":
                if labels["outcome"] == "failed":
                    counters["live.failed"] = sample.value
                elif labels["outcome"] == "answered" and slot == "shadow":
                    counters["live.answered"] = sample.value
    return ServerCounters(counters, serves, load_failed)
