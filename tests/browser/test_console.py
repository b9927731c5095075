"""The console in a real browser, in front of fake services."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, ViewportSize, expect

from tests.browser.conftest import COLOURS, console_before, visiting
from tests.fakes.loop_services import SERVICES, FakeLoop, busy_loop, full_loop, serving

WIDE: ViewportSize = {"width": 1360, "height": 900}
NARROW: ViewportSize = {"width": 360, "height": 740}
# The rules that are checked in each colour scheme; none: all.
SCHEMES: dict[Literal["light", "dark"], tuple[str, ...]] = {"light": (), "dark": COLOURS}


def with_some_away() -> FakeLoop:
    loop = full_loop()
    loop.unreachable = {"drift", "sink"}
    return loop


LOOPS: dict[str, Callable[[], FakeLoop]] = {
    "empty": FakeLoop,
    "full": full_loop,
    "busy": busy_loop,
    "some-away": with_some_away,
}


@pytest.mark.parametrize("name", LOOPS)
def test_page_has_no_accessibility_violations(browser: Browser, artefacts: Path, name: str) -> None:
    with console_before(LOOPS[name]()) as url, visiting(browser, url, viewport=WIDE) as visit:
        page = visit.page
        expect(page.locator("#releases")).to_be_visible()
        for width, viewport in (("wide", WIDE), ("narrow", NARROW)):
            page.set_viewport_size(viewport)
            for scheme, rules in SCHEMES.items():
                page.emulate_media(color_scheme=scheme)
                page.screenshot(path=artefacts / f"console-{name}-{scheme}-{width}.png", full_page=True)
                assert visit.problems(*rules) == [], (scheme, width)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_dialog_has_no_accessibility_violations(browser: Browser, artefacts: Path) -> None:
    with console_before(full_loop()) as url, visiting(browser, url, viewport=NARROW) as visit:
        visit.page.get_by_role("button", name="Roll back").click()
        expect(visit.page.get_by_role("dialog", name="Roll back flights")).to_be_visible()
        for scheme, rules in SCHEMES.items():
            visit.page.emulate_media(color_scheme=scheme)
            visit.page.screenshot(path=artefacts / f"console-dialog-{scheme}.png")
            assert visit.problems(*rules) == [], scheme


def test_approve_and_roll_back_by_keyboard(browser: Browser) -> None:
    loop = full_loop()
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        keys, page = visit.page.keyboard, visit.page
        keys.press("Tab")
        assert visit.focused() == "Skip to content"
        keys.press("Enter")
        visit.tab_to("Approve run-new")
        keys.press("Enter")
        assert visit.focused() == "dialog-name"
        keys.press("Enter")
        expect(page.get_by_role("alert").filter(has_text="Enter your name")).to_be_visible()
        keys.type("Ada")
        keys.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("Approved; the run is promoting.")
        assert loop.posted == [("/retraining/runs/run-new/approve", {"actor": "Ada"})]
        # The button is gone; the focus moves to the heading of its section.
        expect(page.locator("#approve-run-new")).to_have_count(0)
        assert visit.focused() == "Action items"

        visit.tab_to("Roll back… flights")
        keys.press("Enter")
        assert visit.focused() == "dialog-note"
        dialog = page.get_by_role("dialog", name="Roll back flights")
        expect(dialog).to_contain_text("generation 3, version cccc")
        expect(dialog).to_contain_text("of generation 2, as generation 4")
        keys.type("worse at night")
        keys.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("Rolled back: generation 4 is released.")
        sent = {"actor": "Ada", "reason": "worse at night", "to_generation": 2, "expected_generation": 3}
        assert loop.posted[1:] == [("/retraining/models/flights/rollback", sent)]
        expect(page.locator("#releases")).to_contain_text("worse at night")


def test_escape_cancels_the_dialog(browser: Browser) -> None:
    loop = full_loop()
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        visit.tab_to("Reject run-new")
        visit.page.keyboard.press("Enter")
        visit.page.keyboard.press("Escape")
        expect(visit.page.locator("dialog")).to_be_hidden()
        assert visit.focused() == "Reject run-new"
        assert loop.posted == []


def test_result_is_announced_for_its_own_action(browser: Browser) -> None:
    """The dialog stays until the response arrives; if the browser closes it all the same, no other opens before that."""
    loop = full_loop()
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        page, ask = visit.page, visit.page.locator("#dialog")
        page.get_by_role("button", name="Approve").click()
        page.get_by_label("Your name").fill("Ada")
        loop.slow["retraining"] = 1.0
        page.locator("#dialog-confirm").click()
        page.keyboard.press("Escape")
        expect(ask).to_be_visible()
        page.locator("#dialog-cancel").click(force=True)
        expect(ask).to_be_visible()
        page.evaluate("document.getElementById('dialog').close()")
        page.get_by_role("button", name="Roll back").click()
        expect(page.get_by_role("status")).to_have_text("Approve run-new: still waiting for the response.")
        expect(ask).to_be_hidden()
        expect(page.get_by_role("status")).to_have_text("Approve run-new: Approved; the run is promoting.")
        assert [path for path, _ in loop.posted] == ["/retraining/runs/run-new/approve"]
        page.get_by_role("button", name="Roll back").click()
        expect(page.get_by_role("dialog", name="Roll back flights")).to_be_visible()


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "open"])
def test_error_is_shown_for_its_own_action(browser: Browser, is_closed: bool) -> None:
    loop = full_loop()
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        visit.expected.append("409")
        page = visit.page
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="Approve").click()
        page.get_by_label("Your name").fill("Ada")
        loop.runs[0]["state"] = "promoted"
        loop.slow["retraining"] = 0.6
        page.locator("#dialog-confirm").click()
        said = "nothing was done: run run-new has changed"
        if not is_closed:
            expect(page.locator("#dialog-problem")).to_contain_text(said)
            expect(page.locator("#dialog-cancel")).to_have_text("Close")
            page.locator("#dialog-cancel").click()
            expect(page.locator("#dialog")).to_be_hidden()
            return
        page.evaluate("document.getElementById('dialog').close()")
        expect(page.get_by_role("status")).to_contain_text(f"Approve run-new: {said}")
        page.get_by_role("button", name="Roll back").click()
        expect(page.locator("#dialog-problem")).to_have_text("")
        expect(page.locator("#dialog-confirm")).to_be_visible()
        expect(page.locator("#dialog-cancel")).to_have_text("Cancel")


@pytest.mark.parametrize("button", ["Approve run-new", "Reject run-new", "Acknowledge"])
def test_key_repeat_does_not_confirm_the_dialog(browser: Browser, button: str) -> None:
    loop = full_loop()
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        visit.page.evaluate("localStorage.setItem('homeostat-actor', 'Ada')")
        visit.page.reload()
        visit.tab_to(button)
        for _ in range(6):
            visit.page.keyboard.down("Enter")
        expect(visit.page.locator("#dialog")).to_be_visible()
        visit.page.wait_for_timeout(300)
        expect(visit.page.locator("#dialog")).to_be_visible()
        visit.page.keyboard.up("Enter")
        assert loop.posted == []
        # The focus is on a field, or on Cancel: never on the button that acts.
        assert visit.focused() == ("dialog-note" if button == "Acknowledge" else "Cancel")
        # A deliberate key press acts.
        visit.tab_to(button.partition(" ")[0], most=6)
        visit.page.keyboard.press("Enter")
        expect(visit.page.locator("#dialog")).to_be_hidden()
        assert len(loop.posted) == 1


def test_double_click_does_not_confirm_the_dialog(browser: Browser) -> None:
    loop = full_loop()
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        page = visit.page
        page.evaluate("localStorage.setItem('homeostat-actor', 'Ada')")
        page.reload()
        # Put the button that opens the dialog where the button of the dialog will be.
        page.get_by_role("button", name="Reject").click()
        place = page.locator("#dialog-confirm").bounding_box()
        page.keyboard.press("Escape")
        assert place is not None
        page.evaluate(
            "([x, y]) => { document.getElementById('reject-run-new').style.cssText ="
            " `position: fixed; z-index: 9; left: ${x}px; top: ${y}px` }",
            [place["x"], place["y"]],
        )
        page.mouse.dblclick(place["x"] + 8, place["y"] + 8)
        expect(page.locator("#dialog")).to_be_visible()
        page.wait_for_timeout(300)
        expect(page.locator("#dialog")).to_be_visible()
        assert loop.posted == []


def test_focus_moves_to_the_section_heading_if_the_element_is_gone(browser: Browser) -> None:
    loop = full_loop()
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        visit.page.evaluate(
            "const link = document.createElement('a'); link.href = '#decisions'; "
            "document.getElementById('action-items').append(link); link.focus()"
        )
        loop.decision("c" * 32, state="data_fault")
        visit.refresh()
        expect(visit.page.locator("#action-items")).to_contain_text("1 data fault")
        assert visit.focused() == "Action items"


def test_rollback_to_a_chosen_generation(browser: Browser) -> None:
    loop = full_loop()
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        visit.page.get_by_role("button", name="Roll back").click()
        visit.page.get_by_label("Roll back to").select_option("1")
        expect(visit.page.locator("#dialog-to")).to_contain_text("of generation 1, as generation 4")
        visit.page.get_by_label("Reason").fill("the old one")
        visit.page.get_by_label("Your name").fill("Ada")
        visit.page.locator("#dialog-confirm").click()
        expect(visit.page.get_by_role("status")).to_contain_text("generation 4 is released")
        assert loop.posted[0][1]["to_generation"] == 1


def test_double_click_rolls_back_once(browser: Browser) -> None:
    loop = full_loop()
    loop.slow["retraining"] = 0.15
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        visit.page.get_by_role("button", name="Roll back").click()
        visit.page.get_by_label("Reason").fill("worse")
        visit.page.get_by_label("Your name").fill("Ada")
        visit.page.locator("#dialog-confirm").dblclick()
        expect(visit.page.get_by_role("status")).to_contain_text("generation 4 is released")
        assert len(loop.posted) == 1


def test_outdated_page_cannot_roll_back(browser: Browser) -> None:
    loop = full_loop()
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        visit.expected.append("409")
        visit.page.get_by_role("button", name="Pause").click()
        loop.release(4, "promotion")
        visit.page.get_by_role("button", name="Roll back").click()
        visit.page.get_by_label("Reason").fill("worse")
        visit.page.get_by_label("Your name").fill("Ada")
        visit.page.keyboard.press("Enter")
        problem = visit.page.get_by_role("alert").filter(
            has_text="generation 3 was expected to be served, but generation 4 is"
        )
        expect(problem).to_be_visible()
        expect(visit.page.locator("#dialog-confirm")).to_be_hidden()
        assert visit.focused() == "Close"
        assert len(loop.releases) == 4
        visit.page.keyboard.press("Enter")
        expect(visit.page.locator("#releases tbody tr").first).to_contain_text("4")


def test_acknowledgement_removes_the_action_item(browser: Browser) -> None:
    loop = full_loop()
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        visit.page.locator("#action-items").get_by_role("button", name="Acknowledge").click()
        visit.page.get_by_label("Your name").fill("Ada")
        visit.page.get_by_label("Note").fill("a holiday")
        visit.page.locator("#dialog-confirm").click()
        expect(visit.page.locator("#action-items")).not_to_contain_text("drift verdict")
        expect(visit.page.locator("#decisions")).to_contain_text("Ada,")
        assert loop.posted == [
            (f"/retraining/causes/{'b' * 32}/acknowledge", {"actor": "Ada", "note": "a holiday"})
        ]
        # The name is asked for once.
        visit.page.reload()
        expect(visit.page.get_by_role("button", name="Acting as Ada")).to_be_visible()
        visit.page.get_by_role("button", name="Reject").click()
        expect(visit.page.get_by_label("Your name")).to_be_hidden()


def test_group_is_acknowledged_up_to_what_the_page_showed(browser: Browser) -> None:
    loop = full_loop()
    for number in range(44):
        loop.decision(f"{number:032x}", state="drift")
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        expect(visit.page.locator("#action-items .count")).to_have_text("2")
        visit.page.locator("#action-items").get_by_role("button", name="Acknowledge all 45").click()
        loop.decision("c" * 32, state="drift")
        visit.page.get_by_label("Your name").fill("Ada")
        visit.page.locator("#dialog-confirm").click()
        expect(visit.page.get_by_role("status")).to_have_text("Acknowledged all 45.")
        expect(visit.page.locator("#action-items")).to_contain_text("flights: 1 drift verdict")
        left = [one["cause_key"] for one in loop.decisions if one["issue"] and not one["acknowledged"]]
        assert left == ["c" * 32]


def test_error_of_retraining_is_shown_in_the_dialog(browser: Browser) -> None:
    loop = full_loop()
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        visit.expected.append("503")
        visit.page.get_by_role("button", name="Pause").click()
        loop.unreachable = {"retraining"}
        visit.page.get_by_role("button", name="Approve").click()
        visit.page.get_by_label("Your name").fill("Ada")
        visit.page.keyboard.press("Enter")
        alert = visit.page.locator("#dialog-problem")
        expect(alert).to_contain_text("retraining")
        expect(visit.page.locator("#dialog-confirm")).to_be_visible()


def test_refresh_keeps_focus_scroll_and_an_open_dialog(browser: Browser) -> None:
    loop = busy_loop()
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        page = visit.page
        page.locator("#verdicts-table").evaluate("box => box.scrollTo(0, 333)")
        page.locator("#reject-run-new").focus()
        page.evaluate(
            "document.getElementById('action-items').stale = document.getElementById('verdicts').stale = true"
        )
        loop.verdict(151, "drift", ratio=1.9)
        loop.decision("c" * 32, state="data_fault")
        visit.refresh()
        expect(page.locator("#action-items")).to_contain_text("flights: 1 data fault")
        assert page.evaluate(
            "['action-items', 'verdicts'].map(id => document.getElementById(id).stale ?? null)"
        ) == [None, None]
        assert visit.focused() == "Reject run-new"
        assert page.locator("#verdicts-table").evaluate("box => box.scrollTop") == 333
        expect(page.get_by_role("status")).to_have_text("New action items: flights: 1 data fault.")

        page.get_by_role("button", name="Roll back").click()
        page.get_by_label("Reason").fill("half a sent")
        loop.decision("d" * 32, state="drift")
        visit.refresh()
        expect(page.locator("#action-items")).to_contain_text("flights: 5 drift verdicts")
        expect(page.get_by_label("Reason")).to_have_value("half a sent")
        assert visit.focused() == "dialog-note"


def test_unchanged_sections_are_not_replaced_or_announced(browser: Browser) -> None:
    loop = full_loop()
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        visit.page.evaluate("document.getElementById('verdicts').same = true")
        visit.refresh()
        visit.refresh()
        assert visit.page.evaluate("document.getElementById('verdicts').same") is True
        expect(visit.page.get_by_role("status")).to_have_text("")


def test_refresh_keeps_selected_text(browser: Browser) -> None:
    loop = full_loop()
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        visit.page.evaluate("getSelection().selectAllChildren(document.querySelector('#decisions tbody'))")
        loop.decision("c" * 32)
        visit.refresh()
        assert "c" * 32 not in visit.page.locator("#decisions").inner_text()
        visit.page.evaluate("getSelection().removeAllRanges()")
        visit.refresh()
        expect(visit.page.locator("#decisions")).to_contain_text(f"the reason of {'c' * 32}")


def test_page_refreshes_until_it_is_paused(browser: Browser) -> None:
    loop = full_loop()
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        loop.unreachable = {"drift"}
        expect(visit.page.get_by_role("status")).to_contain_text(
            "New action items: drift is unreachable.", timeout=12_000
        )
        visit.page.get_by_role("button", name="Pause").click()
        asked = len(loop.asked)
        visit.page.wait_for_timeout(5000)
        assert len(loop.asked) == asked
        loop.unreachable = set()
        visit.page.get_by_role("button", name="Resume").click()
        expect(visit.page.get_by_role("status")).to_contain_text("Resolved: drift is unreachable.")


def test_every_service_unreachable(browser: Browser, artefacts: Path) -> None:
    loop = full_loop()
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        loop.unreachable = set(SERVICES)
        visit.refresh()
        for service in SERVICES:
            expect(visit.page.locator("#action-items")).to_contain_text(f"{service} is unreachable")
        # The last data is still shown, marked as old.
        expect(visit.page.locator("#verdicts .stale")).to_contain_text("; data from")
        expect(visit.page.locator("#verdicts tbody tr")).to_have_count(23)
        visit.page.screenshot(path=artefacts / "console-all-away.png", full_page=True)
        assert visit.problems() == []


def test_page_stays_if_the_console_does_not_respond(browser: Browser) -> None:
    loop = full_loop()
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        visit.expected += ["ERR_", "Failed to load"]
        visit.page.route("**/main", lambda route: route.abort())
        for _ in range(2):
            with visit.page.expect_event("requestfailed"):
                visit.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(visit.page.get_by_role("alert").first).to_contain_text("The console does not respond")
        expect(visit.page.locator("#verdicts tbody tr")).to_have_count(23)
        visit.page.unroute("**/main")
        visit.refresh()
        expect(visit.page.locator("#connection")).to_have_text("")


def test_page_is_readable_without_javascript(browser: Browser, artefacts: Path) -> None:
    with console_before(full_loop()) as url:
        with visiting(browser, url, java_script_enabled=False, viewport=WIDE) as visit:
            expect(visit.page.get_by_text("Without JavaScript this page shows everything")).to_be_visible()
            expect(visit.page.locator("#verdicts tbody tr")).to_have_count(23)
            assert visit.page.locator("button:visible").count() == 0
            visit.page.screenshot(path=artefacts / "console-without-script.png")


HOSTILE = "\"><img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


def test_hostile_text_of_services_is_not_executed(browser: Browser) -> None:
    loop = full_loop(model="flights")
    for body in (*loop.decisions, *loop.runs, *loop.verdicts):
        for key in ("reason", "cause_reason", "explanation"):
            if key in body:
                body[key] = HOSTILE
    for entry in loop.releases:
        entry["note"] = entry["actor"] = HOSTILE
    loop.runs[0]["gate"]["reason"] = HOSTILE
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        page = visit.page
        expect(page.locator("#releases")).to_contain_text("onerror")
        for button in ("Approve", "Roll back"):
            page.get_by_role("button", name=button).first.click()
            page.keyboard.press("Escape")
        loop.decision("e" * 32, state="drift")
        loop.decisions[0]["reason"] = loop.decisions[0]["model"] = HOSTILE
        visit.refresh()
        expect(page.get_by_role("status")).to_contain_text("onerror")
        assert page.title() == "Homeostat"
        assert page.locator("img").count() == 0


def test_report_is_sandboxed(browser: Browser) -> None:
    """Its script runs without an origin: it cannot read the console, send requests to it or act."""
    loop = full_loop()
    loop.lies[
        f"/drift/reports/{loop.verdicts[0]['verdict_id']}"
    ] = b"""<!doctype html><title>report</title><p id="p">-</p><script>
    const said = [self.origin];
    try { localStorage.length; said.push("storage") } catch { said.push("no storage") }
    fetch("/api/runs/run-new/approve", {method: "POST", headers: {"Content-Type": "application/json", "X-Homeostat-Console": "1"},
      body: "{}"}).then(() => said.push("sent"), () => said.push("not sent")).finally(() => { p.textContent = said.join(", ") });
    </script>"""
    with console_before(loop) as url, visiting(browser, url, viewport=WIDE) as visit:
        visit.expected += ["violates the following Content Security Policy", "Refused to connect"]
        visit.page.locator("#verdicts").get_by_role("link", name="report").first.click()
        expect(visit.page.frame_locator("iframe").locator("#p")).to_have_text("null, no storage, not sent")
        assert loop.posted == []
        visit.page.get_by_role("link", name="Back to the console").click()
        expect(visit.page.locator("#verdicts")).to_be_visible()


@pytest.mark.parametrize("where", ["location", "top.location", "parent.location"])
def test_report_cannot_navigate_elsewhere(browser: Browser, where: str) -> None:
    """A URL can carry the content of the report to another site."""
    loop, other = full_loop(), FakeLoop()
    with serving(other) as elsewhere, console_before(loop) as url:
        loop.lies[f"/drift/reports/{loop.verdicts[0]['verdict_id']}"] = (
            "<!doctype html><title>report</title><p id=p>-</p><script>p.textContent = 'ran';"
            f"try {{ {where} = '{elsewhere}/drift/status?secret' }} catch {{ p.textContent = 'held' }}</script>"
        ).encode()
        with visiting(browser, url, viewport=WIDE) as visit:
            visit.expected += ["Content Security Policy", "Unsafe attempt to initiate navigation", "Framing"]
            with visit.page.expect_response("**/content"):
                visit.page.locator("#verdicts").get_by_role("link", name="report").first.click()
            visit.page.wait_for_timeout(700)
            assert visit.page.url.startswith(f"{url}/reports/")
            assert other.asked == []
            visit.strayed.clear()  # attempts that the policy stopped


def test_report_page_has_no_accessibility_violations(browser: Browser) -> None:
    loop = full_loop()
    with console_before(loop) as url, visiting(browser, url, viewport=NARROW) as visit:
        visit.expected += ["404"]
        visit.page.goto(f"{url}/reports/none")
        expect(visit.page.frame_locator("iframe").locator("p").first).to_contain_text(
            "there is no report about none"
        )
        expect(visit.page.get_by_role("heading", name="Report about verdict none")).to_be_visible()
        assert visit.problems() == []
