"""A headless Chromium, and checks that every page has to pass."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from local_stack.ports import free_port
from services.console.aggregation.aggregator import KEPT_S
from services.console.aggregation.endpoints import Endpoints
from services.console.bootstrap import build
from services.console.settings import ConsoleSettings
from shared.access.api_key import make_key
from shared.access.key_file import KeyFile, key_file_path
from shared.access.scope import Scope
from shared.http.server import open_listener
from tests import local_http
from tests.fakes.loop_services import FakeLoop, endpoints, serving

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
LAUNCHED_WITH = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # Otherwise each page starts a second process, for a page that never comes.
    "--disable-features=SpareRendererForSitePerProcess",
)
# What axe finds of colours. Everything else does not depend on them.
COLOURS = ("color-contrast", "link-in-text-block")


# Not for the whole session: while Playwright is open its event loop runs, and no other test could run one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Without it the tests skip, but where nothing may be skipped they fail."""
    if not CHROMIUM.exists():
        missing = f"{CHROMIUM} is not there: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(LAUNCHED_WITH))
        expect.set_options(timeout=10_000)
        yield found
        found.close()


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where screenshots are kept: `HOMEOSTAT_TEST_ARTEFACTS`, else below the build folder."""
    folder = Path(os.environ.get("HOMEOSTAT_TEST_ARTEFACTS") or ROOT / "build" / "artefacts") / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass
class Visit:
    """An open page with its console errors and its requests to other origins."""

    page: Page
    errors: list[str] = field(default_factory=list)
    strayed: list[str] = field(default_factory=list)
    # The browser reports error responses that a test provokes, too.
    expected: list[str] = field(default_factory=list)

    def watch(self, origin: str) -> None:
        def record_message(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not any(one in message.text for one in self.expected):
                self.errors.append(message.text)

        def sent(request: Request) -> None:
            if not request.url.startswith((origin + "/", "data:")):
                self.strayed.append(request.url)

        self.page.on("console", record_message)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", sent)

    def refresh(self) -> None:
        """Refresh now, as the page does every few seconds, with a new snapshot, and wait for the result."""
        before = self.page.locator("#summary time").get_attribute("datetime")
        self.page.wait_for_timeout((KEPT_S + 0.1) * 1000)
        with self.page.expect_response("**/main"):
            self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        self.page.wait_for_function(
            "before => document.querySelector('#summary time').dateTime !== before", arg=before
        )

    def problems(self, *rules: str) -> list[str]:
        """The accessibility violations that axe finds; `rules`: of these rules only."""
        options: dict[str, Any] = {"resultTypes": ["violations"]}
        if rules:
            options["runOnly"] = {"type": "rule", "values": rules}
        found = Axe().run(self.page, options=options).response["violations"]
        return [
            f"{one['id']}: {one['help']} at {[node['target'] for node in one['nodes'][:5]]}" for one in found
        ]

    def tab_to(self, name: str, most: int = 80) -> None:
        """Press Tab until what has the focus begins with `name`."""
        seen = []
        for _ in range(most):
            self.page.keyboard.press("Tab")
            seen.append(self.focused())
            if seen[-1].startswith(name):
                return
        raise AssertionError(f"no {name!r} among {seen}")

    def focused(self) -> str:
        """The text of what has the focus, or its id where it has none."""
        said: str = self.page.evaluate(
            "document.activeElement.textContent.trim() || document.activeElement.id"
        )
        return said


class ConsoleUrl(str):
    """The address of a running console; `key` logs in there, with all scopes, as does whoever makes one in `key_file`."""

    key: str
    key_file: KeyFile

    def make_key(self, name: str, *scopes: Scope) -> str:
        """A new key that the console accepts."""
        made, text = make_key(name, frozenset(scopes), datetime.now(UTC))
        with self.key_file.changing() as keys:
            keys[made.key_id] = made
        return text

    def login_link(self, key: str) -> str:
        """A link with a one-time code."""
        headers = {"Authorization": f"Bearer {key}"}
        made = local_http.post(f"{self}/login/codes", headers=headers)
        return f"{self}{made.json()['path']}"


@contextmanager
def visiting(browser: Browser, url: str, *, key: str | None = None, **options: Any) -> Iterator[Visit]:
    """Open `url` in a browser context of its own; fails if the page reported an error or left its origin.

    A console is opened logged in: with `key`, by default with all scopes; an empty key does not log in.
    """
    context = browser.new_context(reduced_motion="reduce", **options)
    context.set_default_timeout(15_000)
    visit = Visit(context.new_page())
    visit.watch(f"{urlsplit(url).scheme}://{urlsplit(url).netloc}")
    try:
        if isinstance(url, ConsoleUrl) and key != "":
            visit.page.goto(url.login_link(key or url.key))
        else:
            visit.page.goto(url)
        yield visit
        assert visit.errors == []
        assert visit.strayed == []
    finally:
        context.close()


@contextmanager
def console_of(where: Endpoints, home: Path, *, anonymous: bool = True) -> Iterator[ConsoleUrl]:
    """A running console for services at fixed endpoints, which accepts the keys of `home`; its address."""
    settings = ConsoleSettings(port=free_port(), home=home, anonymous_access=anonymous)
    listener = open_listener(settings.host, settings.port, "another port")
    server = build(settings, listener, lambda: where)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = ConsoleUrl(f"http://127.0.0.1:{settings.port}")
        url.key_file = KeyFile(key_file_path(settings))
        url.key = url.make_key("local", *Scope)
        yield url
    finally:
        server.should_exit = True
        thread.join(15)
        listener.close()


@contextmanager
def console_before(loop: FakeLoop, *, anonymous: bool = True) -> Iterator[ConsoleUrl]:
    """A running console in front of a fake loop; its address."""
    with (
        TemporaryDirectory() as home,
        serving(loop) as base,
        console_of(endpoints(base), Path(home), anonymous=anonymous) as url,
    ):
        yield url
