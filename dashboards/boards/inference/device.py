"""The device: what the model computes on, and how busy that is."""

from __future__ import annotations

from dashboards.parts.panel import About, SdkPanel, latest, time_series
from dashboards.parts.query import Query

NO_SERVER = "No server is scraped: `homeostat status`, then `homeostat doctor`."
NO_GPU = (
    "No GPU figures: the server runs on the CPU, as the panel `Device` says. With `device: cuda` "
    "they come by themselves."
)


def device() -> SdkPanel:
    """Device."""
    about = About(
        title="Device",
        unit="none",
        means="What each server computes on, and why it chose that.",
        normal="what you asked for with `device`; a CPU needs nothing more.",
        hint="a CPU where you expect a GPU: the reason is in the table; `homeostat doctor` looks at the driver.",
        empty=NO_SERVER,
    )
    return latest(
        about,
        Query("max by (instance, device, reason) (homeostat_inference_device_info)"),
        {"instance": "Server", "device": "Device", "reason": "Reason"},
    )


def busy() -> SdkPanel:
    """GPU in use."""
    about = About(
        title="GPU in use",
        unit="percentunit",
        means="Share of the time in which the GPU computed.",
        normal="any; 1 for long means that it is the limit.",
        hint="at 1 with slow answers: another GPU, or a smaller model.",
        empty=NO_GPU,
    )
    return time_series(
        about,
        Query(
            "max by (instance, device) (homeostat_inference_device_utilization_ratio)",
            "{{device}} of {{instance}}",
        ),
        maximum=1,
    )


def memory() -> SdkPanel:
    """GPU memory in use."""
    about = About(
        title="GPU memory in use",
        unit="bytes",
        means="Memory in use on the device by all processes, and what it has.",
        normal="stable; a swap holds two versions for a moment.",
        hint="near the total: the next release may not fit beside the one that serves.",
        empty=NO_GPU,
    )
    return time_series(
        about,
        Query(
            "max by (instance, device) (homeostat_inference_device_memory_used_bytes)",
            "{{device}} of {{instance}}: used",
        ),
        Query(
            "max by (instance, device) (homeostat_inference_device_memory_total_bytes)",
            "{{device}} of {{instance}}: total",
        ),
    )
