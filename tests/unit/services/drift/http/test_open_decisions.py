from __future__ import annotations

import pytest

from services.drift.http.open_decisions import OpenDecisions
from shared.access.client_key import ClientKey
from shared.errors import HomeostatError
from tests.unit.cli.fake_service import fake_service


def test_open_decisions_are_those_of_retraining() -> None:
    with fake_service() as service:
        service.answers["GET /decisions/open"] = (200, {"causes": ["a", "b"]})
        assert OpenDecisions(service.url, lambda: ClientKey("key"))() == {"a", "b"}
        assert [request for request, _ in service.asked] == ["GET /decisions/open"]


def test_without_an_address_no_decision_is_open() -> None:
    assert OpenDecisions("", lambda: ClientKey())() == frozenset()


@pytest.mark.parametrize("answer", [(503, {"error": "no ledger"}), (200, {"decisions": []}), (200, ["a"])])
def test_an_answer_without_causes_is_an_error(answer: tuple[int, object]) -> None:
    with fake_service() as service:
        service.answers["GET /decisions/open"] = answer
        with pytest.raises(HomeostatError):
            OpenDecisions(service.url, lambda: ClientKey("key"))()
