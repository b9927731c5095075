"""HTTP requests of the checks, with a short timeout."""

from __future__ import annotations

from typing import Any

from shared.errors import DependencyUnavailable

TIMEOUT_S = 3.0


def get_json(name: str, base: str, path: str, api_key: str = "", *, authorization: str = "") -> Any:
    """The JSON body at `base` + `path` of service `name`. Raises `DependencyUnavailable` otherwise."""
    import orjson

    try:
        return orjson.loads(get_text(name, base, path, api_key, authorization=authorization))
    except orjson.JSONDecodeError as error:
        raise DependencyUnavailable(
            f"the server at {base} is not {name}", hint=f"give the address of {name}"
        ) from error


def get_text(name: str, base: str, path: str, api_key: str = "", *, authorization: str = "") -> str:
    """The text at `base` + `path` of service `name`. Raises `DependencyUnavailable` for an error or a timeout.

    `authorization`: value of the header, where it is not an API key.
    """
    import httpx

    from shared.tls.client_environment import client_tls

    credential = authorization or (f"Bearer {api_key}" if api_key else "")
    headers = {"Authorization": credential} if credential else {}
    verify = client_tls().context() if base.startswith("https://") else True
    try:
        response = httpx.get(
            base.rstrip("/") + path, headers=headers, timeout=TIMEOUT_S, trust_env=False, verify=verify
        )
        response.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DependencyUnavailable(
            f"{name} cannot be reached at {base}: {error or type(error).__name__}",
            hint="`homeostat status` shows which processes run",
        ) from error
    return response.text


def metric_sum(text: str, metric: str, *labels: str) -> float | None:
    """Sum of a metric in Prometheus text over the series with all `labels` (as `name="value"`); None without such a series."""
    values = [
        float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if line.startswith((f"{metric}{{", f"{metric} ")) and all(label in line for label in labels)
    ]
    return sum(values) if values else None
