"""OpenTelemetry spans of requests, sent by OTLP; off unless an endpoint is set."""
