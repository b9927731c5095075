"""A model as Triton's model configuration (`GET /v2/models/{model}/config`). Pure."""

from __future__ import annotations

from typing import Any

from services.inference.models.servable import Servable
from services.inference.open_inference.features import describe


def model_config(servable: Servable, *, maximum_rows: int) -> dict[str, Any]:
    """The configuration. `dims` are the axes after the rows: one value per row has none."""
    about = describe(servable)
    return {
        "name": servable.model,
        "platform": about["platform"],
        "backend": about["platform"].partition("_")[0],
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": maximum_rows,
        "input": [{**_tensor(one), "optional": one["parameters"]["nullable"]} for one in about["inputs"]],
        "output": [_tensor(one) for one in about["outputs"]],
        "parameters": {
            "version": {"string_value": servable.version},
            "generation": {"string_value": str(servable.generation)},
            "kind": {"string_value": servable.manifest.prediction.kind},
            "precision": {"string_value": servable.form.precision},
            "runtime": {"string_value": servable.runtime},
        },
    }


def _tensor(described: dict[str, Any]) -> dict[str, Any]:
    datatype = described["datatype"]
    return {
        "name": described["name"],
        "data_type": "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}",
        "dims": described["shape"][1:],
    }
