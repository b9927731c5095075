"""The pages with real services: actions in the browser are in the ledger and in the release log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from local_stack.ports import free_port
from services.console.aggregation.endpoints import Endpoints
from tests.browser.conftest import console_of, visiting
from tests.fakes.retraining_installation import MODEL, make_installation
from tests.fakes.retraining_service import ServiceProcess, wait_for
from tests.fakes.toy_model import ToyStore
from tests.integration.inference.conftest import InferenceProcess

WIDE = {"width": 1360, "height": 900}


def before(retraining: str) -> Endpoints:
    """A real retraining, and nobody where the others would be."""
    nobody = f"http://127.0.0.1:{free_port()}"
    return Endpoints(servers=(nobody,), shipper=nobody, sink=nobody, drift=nobody, retraining=retraining)


def test_approving_and_rolling_back_reach_the_ledger_and_the_release_log(
    browser: Browser, tmp_path: Path, artefacts: Path
) -> None:
    installation = make_installation(tmp_path, days=15, automation="approve")
    service = ServiceProcess(installation)
    try:
        service.start()
        service.deploy()
        cause = service.post("/triggers", {"model": MODEL, "reason": "please"}, expect=202)["causes"][0]
        run_id = cause["run_id"]
        place = f"/runs/{run_id}"
        wait_for(lambda: service.get(place)["state"] == "waiting_for_approval", 60, "the run to be proven")

        with (
            console_of(before(service.url("")), installation.home) as url,
            visiting(browser, url, viewport=WIDE) as visit,
        ):
            page = visit.page
            expect(page.locator("#action-items")).to_contain_text("toy: a new version awaits approval")
            page.screenshot(path=artefacts / "console-real-waiting.png", full_page=True)
            assert visit.problems() == []
            page.get_by_role("button", name=f"Approve {run_id}").click()
            page.get_by_label("Your name").fill("Ada")
            page.keyboard.press("Enter")
            expect(page.get_by_role("status")).to_contain_text("Approved")
            wait_for(lambda: service.get(place)["state"] == "promoted", 60, "the run to be promoted")
            [answer] = service.get(place)["approvals"]
            assert (answer["answer"], answer["actor"], answer["about"]) == ("yes", "Ada (local)", "promotion")

            visit.refresh()
            expect(page.locator("#releases tbody tr")).to_have_count(2)
            page.get_by_role("button", name="Roll back").click()
            expect(page.get_by_role("dialog")).to_contain_text(
                f"version {installation.champion[:12]} of generation 1"
            )
            page.get_by_label("Reason").fill("worse at night")
            page.locator("#dialog-confirm").dblclick()
            expect(page.get_by_role("status")).to_contain_text("Rolled back: generation 3 is released.")
            expect(page.locator("#releases tbody tr")).to_have_count(3)

        log = installation.store.releases(MODEL)
        assert [(entry.generation, entry.reason, entry.actor) for entry in log] == [
            (1, "deployment", "ann (local)"),
            (2, "promotion", log[1].actor),
            (3, "rollback", "Ada (local)"),
        ]
        assert (log[2].version, log[2].note) == (installation.champion, "worse at night")
        assert log[1].run_id == run_id
    finally:
        service.end()


@pytest.fixture(scope="module")
def inference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InferenceProcess]:
    """A real server of one model, without Kafka."""
    toys = ToyStore(tmp_path_factory.mktemp("home"))
    release = toys.put_and_release(1.0)
    server = InferenceProcess(toys.home)
    try:
        server.wait_live()
        server.wait_served(release.version)
        yield server
    finally:
        server.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_inference_page_has_no_accessibility_violations(
    browser: Browser, inference: InferenceProcess, artefacts: Path, scheme: str
) -> None:
    for width, viewport in (("wide", WIDE), ("narrow", {"width": 360, "height": 740})):
        with visiting(browser, f"{inference.url}/status", color_scheme=scheme, viewport=viewport) as visit:
            expect(visit.page.get_by_text("toy").first).to_be_visible()
            expect(visit.page.get_by_role("main")).to_be_visible()
            visit.page.screenshot(path=artefacts / f"inference-{scheme}-{width}.png", full_page=True)
            assert visit.problems() == []
            assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_console_shows_what_a_real_server_serves(
    browser: Browser, inference: InferenceProcess, tmp_path: Path
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    where = Endpoints(servers=(inference.url,), shipper=nobody, sink=nobody, drift=nobody, retraining=nobody)
    with console_of(where, tmp_path) as url, visiting(browser, url, viewport=WIDE) as visit:
        served = inference.served()
        expect(visit.page.locator("#models")).to_contain_text(
            f"serves generation 1, {served['version'][:12]}"
        )
        expect(visit.page.locator("#models")).to_contain_text("not known")  # the release log is not known
