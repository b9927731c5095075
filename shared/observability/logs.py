"""Structured logs: one JSON object per line on standard error, with correlation ids."""

from __future__ import annotations

import logging
import os
import sys
from uuid import uuid4

import structlog

from shared.observability.unknown_variables import unknown_variables
from shared.settings import HomeostatSettings


def configure_logs(service: str, settings: HomeostatSettings) -> None:
    """Send all logs of this process, including those of libraries, to standard error in the configured format.

    Reports environment variables that are no settings.
    """
    level = getattr(logging, settings.log_level.upper())
    steps: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _naming(service),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*steps, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=steps,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # kafka-python logs every failed attempt as an error; our own code logs an outage once.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    for noisy in ("httpx", "alembic", "mlflow"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for problem in unknown_variables(os.environ):
        get_logger(__name__).warning("unknown_variable", problem=problem)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


def log_unknown_error(logger: structlog.stdlib.BoundLogger, error: BaseException) -> str:
    """Log an unexpected error; the id that HTTP handlers return instead of the error's text."""
    error_id = uuid4().hex[:12]
    logger.error("unknown_error", error_id=error_id, exc_info=error)
    return error_id


def _naming(service: str) -> structlog.typing.Processor:
    def add_service(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event.setdefault("service", service)
        return event

    return add_service
