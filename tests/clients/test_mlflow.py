"""MLflow's clients: that of its model server, and `mlflow.deployments`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests

from services.inference.http.own_version import own_version
from tests.clients.conftest import Served

ROWS = pd.DataFrame(
    {
        "amount": [1.5, float("nan")],
        "count": [2, 3],
        "member": [True, False],
        "colour": ["red", "green"],
    }
)


@pytest.fixture
def client(served: Served) -> Any:
    # Imported here, as every worker collects all tests.
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    host, port = served.address.split(":")
    return ScoringServerClient(host, int(port))


def test_server_answers_ping_and_version(client: Any) -> None:
    client.wait_server_ready(timeout=10)
    client.ping()
    assert client.get_version() == own_version()


def test_data_frame_with_missing_values(client: Any, served: Served) -> None:
    answer = client.invoke(ROWS, params={"model": "toy", "event_time": "2026-01-01T00:00:00Z"})
    assert answer.get_predictions("ndarray").tolist() == [0.25, 0.25]
    assert (answer["version"], answer["generation"]) == (served.version, 1)
    assert [served.takes_outcome(one, 1) for one in answer["prediction_ids"]] == [True, True]


def test_arrays_and_records_of_other_models(client: Any, served: Served) -> None:
    labels = client.invoke(np.array([[2], [0]]), params={"model": "animals"})
    frame = labels.get_predictions()
    assert frame[["label", "score"]].to_numpy().tolist() == [["bird", 0.625], ["cat", 0.75]]
    assert served.takes_outcome(labels["prediction_ids"][0], "dog")
    ranges = client.invoke([{"line": 2}], params={"model": "ranges"}).get_predictions()
    assert ranges.to_dict(orient="records") == [{"low": 10.0, "mid": 20.0, "high": 40.0}]
    pixels = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    assert client.invoke(pixels, params={"model": "pixels"})["predictions"] == [2.5, 8.5]


def test_refusal_contains_expected_value(client: Any) -> None:
    with pytest.raises(Exception, match="feature count of row 0 is 'x'; expected a 64-bit integer"):
        client.invoke(ROWS.assign(count=["x", "y"]), params={"model": "toy"})
    with pytest.raises(Exception, match="several models are loaded, and the request names none"):
        client.invoke(ROWS)


def test_deployments_client_names_the_model(served: Served) -> None:
    from mlflow.deployments import get_deploy_client

    client = get_deploy_client(served.url)
    for inputs in (
        {"dataframe_split": ROWS[:1].to_dict(orient="split")},
        {"dataframe_records": ROWS[:1].to_dict(orient="records")},
        {"instances": ROWS[:1].to_dict(orient="records")},
        {"inputs": ROWS[:1].to_dict(orient="list")},
    ):
        answer = client.predict(endpoint="toy", inputs=inputs)
        assert (answer["model"], answer["predictions"]) == ("toy", [0.25])
        assert served.takes_outcome(answer["prediction_ids"][0], 0)
    with pytest.raises(requests.HTTPError, match="model 'nobody' is not loaded; loaded models: animals"):
        client.predict(endpoint="nobody", inputs={"inputs": [1]})


def test_csv_of_a_data_frame(served: Served) -> None:
    answer = requests.post(
        f"{served.url}/endpoints/toy/invocations",
        data=ROWS.to_csv().encode(),
        headers={"Content-Type": "text/csv"},
        timeout=20,
    )
    assert answer.json()["predictions"] == [0.25, 0.25]
