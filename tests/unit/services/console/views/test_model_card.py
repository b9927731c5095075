"""A model's card says which of its facts are not of now."""

from __future__ import annotations

from services.console.views.page import draw_main
from tests.fakes.loop_services import full_loop
from tests.unit.services.console.aggregation.test_models import later
from tests.unit.services.console.harness import Page


def marks(*away: str) -> list[str]:
    loop = full_loop()
    page = Page(draw_main(later(loop, lambda one: one.away.update(away))))
    inside = page.one("article").text
    return [mark.text for mark in page.all("p", class_="stale") if mark.text in inside]


def test_nothing_is_marked_while_everyone_answers() -> None:
    assert marks() == []


def test_what_drift_said_is_marked_beside_the_state_and_at_the_evidence() -> None:
    said = "drift does not answer: as it said 1 h ago"
    assert marks("drift") == [said, "one of the services does not answer: as it said 1 h ago", said]


def test_what_retraining_said_is_marked_at_the_release_and_the_losses() -> None:
    assert marks("retraining") == ["retraining does not answer: as it said 1 h ago"] * 2


def test_what_a_server_said_is_marked_with_its_moment() -> None:
    loop = full_loop()
    page = Page(draw_main(later(loop, lambda one: one.away.add("inference"))))
    assert "loop serves generation 3, cccc00000000 ? not knownconnection refused; as it said 1 h ago" in (
        page.one("ul", class_="servers").text
    )
