"""The entry point: `bentoml serve services.inference.service:InferenceService --port 8000`.

BentoML starts and supervises the process and owns the socket. Our application answers in front of its middleware, which
costs ten times as much as a small model's prediction; BentoML serves schema.json and docs.json.
"""

from __future__ import annotations

import os

# Before BentoML is imported: it reads this once.
os.environ.update(BENTOML_DO_NOT_TRACK="True", DO_NOT_TRACK="1")

import bentoml

from services.inference.bentoml_adapter import AdaptedService
from services.inference.settings import InferenceSettings

_settings = InferenceSettings()


@bentoml.service(
    name="homeostat-inference",
    service_class=AdaptedService,
    workers=1,
    http={"host": _settings.host, "port": _settings.port},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
    tracing={"excluded_urls": ".*"},
    endpoints={"livez": "/health/live", "readyz": "/health/ready"},
)
class InferenceService:
    """Serves predictions; `/status` lists the live models."""
