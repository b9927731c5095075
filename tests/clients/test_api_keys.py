"""Every client with an API key that permits predictions and outcomes only, against a server that answers nobody without one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple

import bentoml
import numpy as np
import pandas as pd
import pytest
import requests
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from bentoml.exceptions import BentoMLException
from tritonclient.utils import InferenceServerException

from homeostat import AsyncClient, Client, RequestRefused
from shared.access.scope import ROLES, Scope
from tests.clients.conftest import Run, Served
from tests.fakes.api_keys import ApiKeys
from tests.fakes.toy_model import ROW
from tests.integration.inference.conftest import InferenceProcess


class Guarded(NamedTuple):
    url: str
    key: str

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://")

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@pytest.fixture(scope="module")
def guarded(served: Served) -> Iterator[Guarded]:
    keys = ApiKeys(served.process.home / "keys" / "api_keys.json")
    key = keys.make("application", *ROLES["client"])
    server = InferenceProcess(
        served.process.home, key=keys.make("reader", Scope.READ), HOMEOSTAT_ANONYMOUS_ACCESS="false"
    )
    try:
        server.wait_live()
        server.wait(lambda: len(server.status()["models"]) == 5, "five models are served", 30)
        yield Guarded(server.url, key)
    finally:
        server.stop()


def lines(module: Any = triton) -> list[Any]:
    tensor = module.InferInput("line", [2], "INT64")
    tensor.set_data_from_numpy(np.array([2, 0], np.int64))
    return [tensor]


def test_homeostat_client(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOMEOSTAT_API_KEY", raising=False)
    with Client(guarded.url, "toy", api_key=guarded.key) as client:
        [answer] = client.predict(ROW)
        client.outcome(answer.prediction_id, 1)
    with (
        Client(guarded.url, "toy") as client,
        pytest.raises(RequestRefused, match="homeostat keys create") as one,
    ):
        client.predict(ROW)
    assert one.value.status == 401
    monkeypatch.setenv("HOMEOSTAT_API_KEY", guarded.key)
    with Client(guarded.url) as client, pytest.raises(Exception, match="serves 5 models"):
        client.predict(ROW)

    async def ask() -> int:
        async with AsyncClient(guarded.url, "toy") as client:
            return len(await client.predict([ROW, ROW]))

    assert asyncio.run(ask()) == 2


def test_tritonclient(guarded: Guarded) -> None:
    with triton.InferenceServerClient(guarded.address) as client:
        assert client.is_server_ready()
        with pytest.raises(InferenceServerException, match="needs credentials with the scope predict"):
            client.infer("animals", lines())
        result = client.infer("animals", lines(), headers=guarded.headers)
        assert result.as_numpy("label").astype(str).tolist() == ["bird", "cat"]
        assert client.get_model_metadata("animals", headers=guarded.headers)["name"] == "animals"

        async def ask() -> Any:
            async with triton_aio.InferenceServerClient(guarded.address) as other:
                return await other.infer("animals", lines(triton_aio), headers=guarded.headers)

        assert asyncio.run(ask()).as_numpy("label").astype(str).tolist() == ["bird", "cat"]
        client.register_plugin(Plugin(guarded.key))
        assert client.infer("animals", lines()).as_numpy("label") is not None


class Plugin(triton.InferenceServerClientPlugin):  # type: ignore[misc]
    """Sends a key with every request of a client."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: Any) -> None:
        request.headers["Authorization"] = f"Bearer {self._key}"


def test_bentoml_clients(guarded: Guarded) -> None:
    with pytest.raises(BentoMLException, match="Failed to fetch schema"):
        bentoml.SyncHTTPClient(guarded.url).predict(rows=[ROW], model="toy")
    with bentoml.SyncHTTPClient(guarded.url, token=guarded.key) as client:
        [answer] = client.predict(rows=[ROW], model="toy")["predictions"]
        outcome = {"prediction_id": answer["prediction_id"], "value": 1}
        assert client.outcomes(outcomes=[outcome]) == {"accepted": 1}

    async def ask() -> float:
        async with bentoml.AsyncHTTPClient(guarded.url, token=guarded.key) as client:
            answer = await client.predict(rows=[ROW], model="toy")
            return float(answer["predictions"][0]["score"])

    assert asyncio.run(ask()) == 0.25


def test_mlflow_deployments(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.deployments import get_deploy_client

    inputs = {"dataframe_split": pd.DataFrame([ROW]).to_dict(orient="split")}
    with pytest.raises(requests.HTTPError, match="needs credentials with the scope predict"):
        get_deploy_client(guarded.url).predict(endpoint="toy", inputs=inputs)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", guarded.key)
    assert get_deploy_client(guarded.url).predict(endpoint="toy", inputs=inputs)["predictions"] == [0.25]


def test_kserve_client(guarded: Guarded, run: Run) -> None:
    found = run("kserve", guarded.url, HOMEOSTAT_API_KEY=guarded.key)
    assert found["toy is ready"] is True
    assert found["half floats"] == [2.5]
    assert found["binary True, output True"]["score"] == [0.25, 0.25]
