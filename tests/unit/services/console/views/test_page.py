"""The page: complete, accessible, and safe against hostile text of services."""

from __future__ import annotations

import json
import re
import time
from datetime import timedelta
from html import unescape
from itertools import pairwise
from typing import Any

import pytest

from services.console.views.environment import STYLE
from services.console.views.page import PAGE_POLICY, SCRIPT
from tests.fakes.loop_services import FakeLoop, busy_loop, full_loop
from tests.unit.services.console.aggregation.test_models import later
from tests.unit.services.console.harness import Page, render_main, render_page, take_snapshot
from tests.waiting import bound

MAX_PAGE_BYTES = 115_000
SLOWEST_DRAWING_S = 0.25
HOSTILE = (
    "<script>document.title='taken'</script>",
    "\"><img src=x onerror=document.title='taken'>",
    "' onfocus='document.title=1' autofocus x='",
    "</title></style></main>{{ script }}{% include 'main.html' %}",
    "javascript:document.title='taken'",
    "&lt;script&gt;",
    "\u202egnp.exe\u0000\x1b[31m",
)


def page_of(loop: FakeLoop) -> Page:
    return Page(render_page(take_snapshot(loop)))


def hostile_loop(said: str) -> FakeLoop:
    """A loop all of whose free texts are the same."""
    loop = full_loop()

    def spoil(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: spoil(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [spoil(item, key) for item in value]
        kept = ("cause_key", "verdict_id", "run_id", "state", "gate_digest", "detector", "signal", "drifted")
        return (
            said if isinstance(value, str) and key not in kept and not re.match(r"20\d\d-", value) else value
        )

    loop.verdicts, loop.decisions, loop.runs = spoil(loop.verdicts), spoil(loop.decisions), spoil(loop.runs)
    loop.releases = [
        {
            **spoil(entry),
            "version": f"{said}{entry['generation']}",
            "reason": entry["reason"],
            "model": "flights",
        }
        for entry in loop.releases
    ]
    loop.verdicts[0]["verdict_id"] = loop.decisions[0]["cause_key"] = loop.runs[0]["run_id"] = said
    loop.runs[0]["gate_digest"] = loop.runs[1]["state"] = said
    loop.verdicts[1]["top_drifted_features"] = [said]
    return loop


@pytest.mark.parametrize("said", HOSTILE)
def test_hostile_text_is_escaped(said: str) -> None:
    html = render_page(take_snapshot(hostile_loop(said)))
    page = Page(html)
    innocent = Page(render_page(take_snapshot(full_loop())))
    assert [element.name for element in page.all("script")] == ["script"]
    assert page.one("script").raw == SCRIPT
    assert len(page.all("a")) == len(innocent.all("a")), "every list is shown"
    assert {name for element in page.elements for name in element.attributes} <= {
        name for element in innocent.elements for name in element.attributes
    }
    assert not page.all("img")
    for link in page.all("a"):
        assert re.match(r"(#|/reports/|/runs/|/models/|/status\.json|/login$)", link.attributes["href"]), (
            link.attributes
        )


def test_special_characters_are_shown() -> None:
    loop = full_loop()
    loop.decisions[0]["reason"] = "<b>& \"quoted\" 'text'"
    html = render_main(take_snapshot(loop))
    assert "<b>& \"quoted\" 'text'" in unescape(html)
    assert "<b>" not in html


@pytest.mark.parametrize("loop", [FakeLoop(), full_loop(), busy_loop()], ids=["empty", "full", "busy"])
@pytest.mark.parametrize("away", [(), ("drift",), ("inference", "shipper", "sink", "drift", "retraining")])
def test_headings_ids_and_labels_are_in_order(loop: FakeLoop, away: tuple[str, ...]) -> None:
    loop.unreachable = set(away)
    page = page_of(loop)
    loop.unreachable = set()
    ids = [element.id for element in page.elements if element.id]
    assert sorted(ids) == sorted(set(ids))
    levels = [int(element.name[1]) for element in page.elements if re.fullmatch(r"h[1-6]", element.name)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels[:-1]))
    for element in page.elements:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            if name in element.attributes:
                assert element.attributes[name] in ids
        if element.name == "a" and element.attributes["href"].startswith("#"):
            assert element.attributes["href"][1:] in ids
    assert len(page.all("main")) == len(page.all("header")) == len(page.all("nav")) == 1
    for table in page.all("table"):
        assert table.text
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(head.attributes.get("scope") in ("col", "row") for head in page.all("th"))
    assert all(
        drawing.attributes.get("aria-label") or drawing.attributes.get("aria-hidden")
        for drawing in page.all("svg")
    )


def test_focusable_elements_have_ids() -> None:
    """The script restores the focus by id when it has replaced a section."""
    page = Page(render_main(take_snapshot(busy_loop())))
    for element in page.elements:
        if element.name in ("a", "button", "input", "select") or "tabindex" in element.attributes:
            assert element.id, element.attributes


def test_buttons_have_their_subject_and_request() -> None:
    page = page_of(full_loop())
    buttons = [button for button in page.all("button") if "data-action" in button.attributes]
    by_id = {button.id: button for button in buttons}
    assert set(by_id) == {
        "approve-run-new",
        "reject-run-new",
        "rollback-flights",
        "item-acknowledge-flights-drift",
        f"decision-acknowledge-{'b' * 32}",
    }
    assert by_id["approve-run-new"].text == "Approve run-new"
    assert (
        by_id["approve-run-new"].attributes["data-body"]
        == '{"state":"waiting_for_approval","gate_digest":"d1"}'
    )
    back = by_id["rollback-flights"].attributes
    assert back["data-body"] == '{"expected_generation":3}'
    assert (back["data-default"], back["data-next"]) == ("2", "4")
    assert "generation 3" in back["data-served"]
    assert [one["generation"] for one in json.loads(back["data-choices"])] == [2, 1]


def test_no_rollback_button_without_an_earlier_version() -> None:
    loop = FakeLoop()
    loop.release(0, "deployment")
    assert not [
        button for button in page_of(loop).all("button") if button.attributes.get("data-action") == "rollback"
    ]


def test_scores_are_bars_with_text() -> None:
    loop = full_loop()
    page = page_of(loop)
    labels = [drawing.attributes.get("aria-label", "") for drawing in page.all("svg")]
    assert "1.80× dest jensenshannon, 0.216 of 0.12" in [one.text for one in page.all("small")]
    [course] = [label for label in labels if label.startswith("Highest score")]
    assert "23 windows, oldest first; 1 above 1" in course
    assert course.endswith("1.80×")
    assert page.one("path", class_="over").attributes["d"] == "M0 6h90"  # 1.8 of what is full at 2


def test_losses_are_shown_as_text() -> None:
    text = page_of(full_loop()).one("article").text
    assert "first version0.57served0.51" in text
    assert "11% less loss than the first version" in text
    assert "log_loss on the newest 3,571 rows with outcomes" in text
    assert "Improvable: the former champion 0b has lost less" in text


def test_empty_sections_say_why() -> None:
    text = Page(render_main(take_snapshot(FakeLoop()))).one("main").text
    for said in (
        "There are no action items.",
        "homeostat deploy",
        "No verdict yet",
        "No run yet",
        "No decision yet",
    ):
        assert said in text


def test_list_of_an_unreachable_service_is_marked() -> None:
    loop = full_loop()
    loop.unreachable = {"drift"}
    text = Page(render_main(take_snapshot(loop))).one("section", id="verdicts").text
    assert "drift: connection refused; no data" in text
    assert "No verdict yet" not in text


@pytest.mark.parametrize("name", ["decisions", "runs"])
def test_unreadable_list_is_not_reported_as_no_action_items(name: str) -> None:
    loop = full_loop()
    loop.decisions, loop.runs = [], []
    calm = Page(render_main(take_snapshot(loop)))
    assert "There are no action items." in calm.by_id("action-items").text
    assert "All components are up and there are no action items ·" in calm.by_id("summary").text

    loop.lies[f"/retraining/{name}"] = b"[]"
    page = Page(render_main(take_snapshot(loop)))
    text = page.by_id("action-items").text
    assert f"retraining, {name}: returns" in text
    assert "no data" in text
    assert "no action items" not in page.one("main").text
    assert "All components are up; action items may be missing ·" in page.by_id("summary").text


def test_action_items_of_old_responses_are_marked() -> None:
    page = Page(
        render_main(later(full_loop(), lambda one: one.lies.update({"/retraining/decisions": b"[]"})))
    )
    text = page.by_id("action-items").text
    assert "retraining, decisions: returns" in text
    assert "data from 1 h ago" in text
    assert "Approve" in text
    assert "action items; action items may be missing ·" in page.by_id("summary").text


def test_unacknowledged_decisions_are_grouped_by_model_and_concern() -> None:
    loop = busy_loop()
    loop.decision("f" * 32, state="data_fault")
    loop.decisions[-2]["event_time"] = "2013-02-12T11:00:00+00:00"  # the oldest drift
    snapshot = take_snapshot(loop)
    page = Page(render_main(snapshot))
    needs = page.one("section", id="action-items")
    fault, drift = page.all("li", class_="item decision")
    assert "flights: 1 data fault" in fault.text
    assert f"the reason of {'f' * 32}" in fault.text
    assert "Since" not in fault.text
    assert drift.text.startswith("flights: 4 drift verdicts newest 5 min ago")
    assert f"Since 2013-02-12, event time; the newest: the reason of {2:032x}" in drift.text
    # The count is of cards, not of verdicts: a run that waits, a fault, all drift.
    assert page.one("span", class_="count").text == "3"
    assert needs.text.count("Acknowledge") == 2
    one, every = (
        page.by_id("item-acknowledge-flights-data_fault"),
        page.by_id("item-acknowledge-flights-drift"),
    )
    assert one.text.startswith("Acknowledge flights: 1 data fault")
    assert (one.attributes["data-body"], one.attributes["data-path"]) == (
        "{}",
        f"/api/causes/{'f' * 32}/acknowledge",
    )
    assert every.text.startswith("Acknowledge all 4 flights: 4 drift verdicts")
    assert json.loads(every.attributes["data-body"]) == {
        "and_older": True,
        "issue": "drift",
        "expected_older": 3,
    }
    assert every.attributes["data-path"] == f"/api/causes/{2:032x}/acknowledge"
    # Each has a button of its own below.
    assert len([one for one in page.all("button") if one.id.startswith("decision-acknowledge-")]) == 5


def test_page_is_small_and_renders_quickly() -> None:
    """50 verdicts, 30 decisions, 20 runs, 20 releases; usually it takes a tenth of the limit."""
    snapshot = take_snapshot(busy_loop())
    assert (len(snapshot.verdicts), len(snapshot.runs)) == (50, 31)
    render_page(snapshot)
    began = time.perf_counter()
    html = render_page(snapshot)
    assert time.perf_counter() - began < bound(SLOWEST_DRAWING_S)
    assert len(html.encode()) < MAX_PAGE_BYTES


def test_page_loads_nothing_and_has_no_inline_handlers() -> None:
    page = page_of(busy_loop())
    for element in page.elements:
        assert "style" not in element.attributes
        assert not [name for name in element.attributes if name.startswith("on")]
        for name in ("src", "href", "action"):
            assert not re.match(r"(https?:)?//", element.attributes.get(name, "")), element.attributes
    assert page.one("style").raw == STYLE
    assert not re.search(r"url\(|@import", STYLE)
    assert "unsafe" not in PAGE_POLICY


def test_times_are_ages_with_a_machine_readable_time() -> None:
    loop = full_loop()
    loop.releases[-1]["released_at"] = (loop.now - timedelta(hours=3)).isoformat()
    loop.releases[0]["released_at"] = (loop.now + timedelta(hours=2)).isoformat()
    shown = {time.text for time in Page(render_main(take_snapshot(loop))).all("time")}
    assert {"3 h ago", "2 h ahead of this clock"} <= shown


def test_canary_is_shown_beside_the_live_version_until_it_ends() -> None:
    loop = full_loop()
    released = loop.releases[-1]
    loop.start(1, "canary", 0.125)
    page = Page(render_main(take_snapshot(loop)))
    shown = page.one("article").text
    assert f"generation {released['generation']}, version" in shown
    assert "canary: generation" in shown
    assert "12.5% of the requests" in shown
    assert "homeostat rollback flights --slot canary" in shown
    assert "not as released" not in shown
    loop.start(1, "canary", 0.0)
    assert "canary: generation" not in Page(render_main(take_snapshot(loop))).one("article").text


def test_verdict_of_an_earlier_generation_names_it() -> None:
    loop = full_loop()
    shown = "▲ drift generation 3"
    assert shown not in Page(render_main(take_snapshot(loop))).one("article").text
    loop.release(1)
    assert shown in Page(render_main(take_snapshot(loop))).one("article").text


def marks(*away: str) -> list[str]:
    """The marks in the model's card: after those of the action items, before those of the lists."""
    loop = full_loop()
    page = Page(render_main(later(loop, lambda one: one.unreachable.update(away))))
    count = page.one("article").text.count("data from")
    start = page.one("section", id="action-items").text.count("data from")
    return [mark.text for mark in page.all("p", class_="stale")][start : start + count]


def test_current_data_is_not_marked() -> None:
    assert marks() == []


def test_old_data_of_drift_is_marked() -> None:
    mark = "drift: connection refused; data from 1 h ago"
    assert marks("drift") == [mark, "one of the services: connection refused; data from 1 h ago", mark]


def test_old_data_of_retraining_is_marked() -> None:
    """Once in each part of the card that retraining fills."""
    assert marks("retraining") == ["retraining: connection refused; data from 1 h ago"] * 3


def test_old_data_of_a_server_is_marked() -> None:
    loop = full_loop()
    page = Page(render_main(later(loop, lambda one: one.unreachable.add("inference"))))
    assert "loop serves generation 3, cccc00000000 ? not known connection refused; data from 1 h ago" in (
        page.one("ul", class_="servers").text
    )
