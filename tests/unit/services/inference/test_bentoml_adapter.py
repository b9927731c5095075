"""What we rely on in BentoML and uvicorn: with another version of them, a test here says what has changed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import pytest
import uvicorn
from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.inference import bentoml_adapter
from services.inference.fast_path.protocol import FastProtocol


@pytest.fixture
def protocols() -> Iterator[dict[str, str]]:
    before = dict(HTTP_PROTOCOLS)
    yield HTTP_PROTOCOLS
    HTTP_PROTOCOLS.clear()
    HTTP_PROTOCOLS.update(before)


def test_configuration_of_bentoml_gets_our_protocol(protocols: dict[str, str]) -> None:
    bentoml_adapter._use_protocol(bentoml_adapter._PROTOCOL)
    bentoml_adapter._use_protocol(bentoml_adapter._PROTOCOL)
    config = uvicorn.Config(lambda: None, log_config=None)  # as BentoML makes it: without `http`
    config.load()
    assert config.http_protocol_class is FastProtocol


def test_worker_of_bentoml_leaves_the_protocol_to_uvicorn() -> None:
    """BentoML's worker makes the application first, then a configuration with no `http`, so our entry is read."""
    from _bentoml_impl.worker import service  # type: ignore[import-untyped]

    text = inspect.getsource(service)
    assert text.index("service.to_asgi(") < text.index("uvicorn.Config(")
    call = text[text.index("uvicorn.Config(") : text.index("uvicorn.Server(")]
    assert not re.search(r"\bhttp\s*=", call)


def test_another_protocol_of_uvicorn_is_an_error(protocols: dict[str, str]) -> None:
    protocols["auto"] = "somewhere:Else"
    with pytest.raises(RuntimeError, match="somewhere:Else"):
        bentoml_adapter._use_protocol(bentoml_adapter._PROTOCOL)


def test_uvicorn_has_what_the_fast_protocol_uses() -> None:
    source = inspect.getsource(HttpToolsProtocol)
    for name in (
        "self.app_state",
        "self.cycle",
        "self.flow",
        "self.headers",
        "self.parser",
        "self.pipeline",
        "self.server_state",
        "self.timeout_keep_alive",
        "self.timeout_keep_alive_task",
        "self.url",
        "def _unset_keepalive_if_required",
        "def timeout_keep_alive_handler",
        "def on_response_complete",
        "def shutdown",
        "server_state.total_requests",
        "server_state.default_headers",
        "cycle.response_complete",
        "cycle.keep_alive",
    ):
        assert name in source, f"uvicorn's protocol has no {name} any more: read it and adapt FastProtocol"
