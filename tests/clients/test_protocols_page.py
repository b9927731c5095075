"""Every code block of docs/protocols.md, run as it stands against a server: only the address is another one."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.clients.conftest import Served
from tests.repo.test_blocks import Block, blocks, commands_of

PAGE = "docs/protocols.md"
WRONG = {
    "inputs": [
        {"name": "amount", "datatype": "FP32", "shape": [1], "data": [1.5]},
        {"name": "count", "datatype": "FP32", "shape": [1], "data": [2]},
        {"name": "member", "datatype": "BOOL", "shape": [1], "data": [True]},
        {"name": "colour", "datatype": "BYTES", "shape": [1], "data": ["red"]},
    ]
}


def of_page(language: str) -> list[Block]:
    return [block for block in blocks(language) if block.page == PAGE]


def test_every_block_is_run() -> None:
    """The tests below know these."""
    assert [len(of_page(language)) for language in ("", "python", "bash", "json")] == [5, 2, 1, 2]


@pytest.mark.parametrize("block", of_page("python"), ids=str)
def test_programs(
    block: Block, served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOMEOSTAT_INFERENCE_URL", served.url)
    exec(compile(block.text.replace("localhost:8000", served.address), str(block), "exec"), {})
    printed = capsys.readouterr().out
    # Both programs ask for 820 km, and print the score and the id.
    scores = [float(number) for number in re.findall(r"\d\.\d+", printed)]
    assert pytest.approx(0.82) in scores
    (identity, *_) = re.findall(r"\b[0-9a-v]{32}\b", printed)
    assert served.takes_outcome(identity, 1)


def answer_of_mlflow(served: Served) -> Any:
    """Of the page's command. The server has several models, so the path names the one of the page."""
    (block,) = of_page("bash")
    (words,) = commands_of(block)
    assert (words[0], words[2]) == ("curl", "localhost:8000/invocations")
    name, value = words[words.index("-H") + 1].split(": ")
    body = words[words.index("-d") + 1].encode()
    answer = served.process.http.post("/endpoints/parcels/invocations", content=body, headers={name: value})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_command(served: Served) -> None:
    assert answer_of_mlflow(served)["predictions"] == pytest.approx([0.82, 0.04])


def test_answers_have_the_form_that_is_shown(served: Served) -> None:
    error, answer = (json.loads(block.text) for block in of_page("json"))
    refused = served.process.http.post("/v2/models/toy/infer", json=WRONG)
    assert refused.status_code == 422
    assert refused.json() == error
    found = answer_of_mlflow(served)
    assert found.keys() == answer.keys()
    assert [type(value) for value in found.values()] == [type(value) for value in answer.values()]
    assert len(found["predictions"]) == len(answer["predictions"])
    assert found["model"] == answer["model"]
