"""Maps errors of the connection to Grafana (no response, no TLS, a proxy) to our errors."""

from __future__ import annotations

import ssl

import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError

from shared.errors import HomeostatError, OperatorError
from shared.grafana.access import URL
from shared.grafana.error_mapping import NOT_GRAFANA
from shared.grafana.interface import GrafanaOutcomeUnknown, GrafanaUnavailable


def transport_error(url: str, error: requests.RequestException) -> HomeostatError:
    """Our error for a call that got no complete response from Grafana at `url`."""
    unavailable = f"Grafana at {url} is not available"
    hint = f"check that it runs and that {URL} is correct"
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else None
    if isinstance(error, requests.exceptions.SSLError):
        if "CERTIFICATE_VERIFY_FAILED" in str(error) or isinstance(reason, ssl.SSLCertVerificationError):
            return OperatorError(
                f"the certificate of Grafana at {url} cannot be verified",
                hint="set REQUESTS_CA_BUNDLE to the file of the authority that signed it",
            )
        return GrafanaOutcomeUnknown(f"{unavailable}: no secure connection", hint=hint)
    if isinstance(error, requests.exceptions.ProxyError):
        return GrafanaUnavailable(
            f"{unavailable}: the proxy does not respond", hint="check HTTPS_PROXY and NO_PROXY"
        )
    if isinstance(error, requests.exceptions.ConnectTimeout) or isinstance(reason, NewConnectionError):
        return GrafanaUnavailable(f"{unavailable}: no connection", hint=hint)
    if isinstance(error, requests.exceptions.Timeout):
        return GrafanaOutcomeUnknown(f"{unavailable}: no response before the timeout", hint=hint)
    if isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return GrafanaOutcomeUnknown(f"{unavailable}: the connection was closed", hint=hint)
    return OperatorError(f"the request to Grafana at {url} failed: {type(error).__name__}", hint=NOT_GRAFANA)
