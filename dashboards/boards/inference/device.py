"""The device the model runs on, and its utilisation."""

from __future__ import annotations

from dashboards.parts.panel import About, SdkPanel, latest, time_series
from dashboards.parts.query import Query

NO_SERVER = "No server is scraped: `homeostat status`, then `homeostat doctor`."
NO_GPU = (
    "No GPU metrics: the server runs on the CPU, see the panel `Device`. They appear with "
    "HOMEOSTAT_INFERENCE_DEVICE=cuda."
)


def device() -> SdkPanel:
    """Device."""
    about = About(
        title="Device",
        unit="none",
        shows="The device each server uses, and why it was chosen.",
        normal="the device set with HOMEOSTAT_INFERENCE_DEVICE.",
        hint="a CPU where you expect a GPU: see the reason in the table; `homeostat doctor` checks the driver.",
        empty=NO_SERVER,
    )
    return latest(
        about,
        Query("max by (instance, device, reason) (homeostat_inference_device_info)"),
        {"instance": "Server", "device": "Device", "reason": "Reason"},
    )


def busy() -> SdkPanel:
    """GPU utilisation."""
    about = About(
        title="GPU utilisation",
        unit="percentunit",
        shows="Share of time in which the GPU was busy.",
        normal="any; 1 for long means that the GPU is the bottleneck.",
        hint="at 1 with slow responses: add a GPU or use a smaller model.",
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
        shows="GPU memory used by all processes, and the total.",
        normal="stable; two versions are in memory during a swap.",
        hint="near the total: the next release may not fit beside the current one.",
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
