"""The entry point: `bentoml serve services.inference.service:InferenceService --port 8000`.

BentoML starts and supervises the process and owns the socket. The doors stand in front of its middleware, which costs
an order of magnitude more than a small model's answer; schema.json and docs.json are BentoML's.
"""

from __future__ import annotations

import os

# Before BentoML is imported: it reads this once.
os.environ.update(BENTOML_DO_NOT_TRACK="True", DO_NOT_TRACK="1")

import bentoml

from services.inference.bentoml_adapter import FrontedService
from services.inference.settings import InferenceSettings

_settings = InferenceSettings()


@bentoml.service(
    name="homeostat-inference",
    service_class=FrontedService,
    workers=1,
    http={"host": _settings.host, "port": _settings.port},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
    tracing={"excluded_urls": ".*"},
    endpoints={"livez": "/health/live", "readyz": "/health/ready"},
)
class InferenceService:
    """Answers predictions; see `/status` for what is served."""
