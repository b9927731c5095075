"""One question to one address, answered soon or not at all."""

from __future__ import annotations

from typing import Any

from shared.errors import DependencyUnavailable

TIMEOUT_S = 3.0


def ask_json(name: str, base: str, path: str) -> Any:
    """The JSON that `name` answers at `base` + `path`. Raises `DependencyUnavailable` where it does not within seconds."""
    import orjson

    try:
        return orjson.loads(ask_text(name, base, path))
    except orjson.JSONDecodeError as error:
        raise DependencyUnavailable(
            f"what answers at {base} is no {name}", hint=f"give {name}'s own address"
        ) from error


def ask_text(name: str, base: str, path: str) -> str:
    """The text that `name` answers. Raises `DependencyUnavailable` where it does not, or answers an error."""
    import httpx

    try:
        response = httpx.get(base.rstrip("/") + path, timeout=TIMEOUT_S, trust_env=False)
        response.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DependencyUnavailable(
            f"{name} does not answer at {base}: {error or type(error).__name__}", hint="homeostat status"
        ) from error
    return response.text


def total(text: str, metric: str, *labels: str) -> float | None:
    """Sum of a metric in Prometheus text over the series that carry all `labels` (as `name="value"`); None where it has none."""
    values = [
        float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if line.startswith((f"{metric}{{", f"{metric} ")) and all(label in line for label in labels)
    ]
    return sum(values) if values else None
