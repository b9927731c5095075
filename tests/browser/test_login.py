"""Logging in to the console in a real browser, and what a page of another site cannot do with the session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, expect

from shared.access.scope import Scope
from tests.browser.conftest import console_before, visiting
from tests.browser.test_console import NARROW, WIDE
from tests.fakes.identity_provider import AUDIENCE, CLIENT, CLIENT_SECRET, running_provider
from tests.fakes.loop_services import full_loop


def test_link_logs_in_approves_and_logs_out(browser: Browser) -> None:
    loop = full_loop()
    with console_before(loop, anonymous=False) as url:
        key = url.make_key("ada", Scope.READ, Scope.APPROVE)
        link = url.login_link(key)
        with visiting(browser, url, key="", viewport=WIDE) as visit:
            page = visit.page
            expect(page).to_have_url(f"{url}/login")
            page.goto(link)
            expect(page).to_have_url(f"{url}/")
            expect(page.locator("#account")).to_contain_text("Logged in as ada read, approve")
            [cookie] = page.context.cookies()
            assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"], cookie["domain"]) == (
                True,
                "Strict",
                "/",
                "127.0.0.1",
            )
            assert page.evaluate("document.cookie") == ""

            expect(page.get_by_role("button", name="Roll back")).to_be_disabled()
            expect(page.locator("#restriction")).to_have_text(
                "You cannot acknowledge, roll back: ada lacks the scopes operate, admin."
            )
            page.get_by_role("button", name="Approve").click()
            # The name was authenticated: nobody is asked for it.
            expect(page.get_by_label("Your name")).to_be_hidden()
            page.locator("#dialog-confirm").click()
            expect(page.get_by_role("status")).to_contain_text("Approved; the run is promoting.")
            assert loop.posted == [("/retraining/runs/run-new/approve", {"actor": "ada"})]
            assert loop.credentials["/retraining/runs/run-new/approve"] == {f"Bearer {key}"}

            page.get_by_role("button", name="Log out").click()
            expect(page).to_have_url(f"{url}/login")
            page.goto(url)
            expect(page).to_have_url(f"{url}/login")
            visit.expected.append("401")
            page.goto(link)
            expect(page.get_by_role("alert")).to_contain_text("it works once")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_key_logs_in_by_keyboard(browser: Browser, artefacts: Path, scheme: str) -> None:
    with console_before(full_loop(), anonymous=False) as url:
        key = url.make_key("ada", Scope.READ)
        with visiting(browser, url, key="", viewport=NARROW, color_scheme=scheme) as visit:
            visit.expected.append("401")
            page = visit.page
            page.get_by_label("API key").fill("hs_wrong")
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert")).to_contain_text("The login failed")
            page.screenshot(path=artefacts / f"console-login-{scheme}.png")
            assert visit.problems() == []
            page.get_by_label("API key").fill(key)
            page.keyboard.press("Enter")
            expect(page).to_have_url(f"{url}/")
            page.goto(f"{url}/login")
            expect(page.locator("main")).to_contain_text("You are logged in as ada (read).")
            assert visit.problems() == []
            page.get_by_role("button", name="Log out").click()
            page.goto(url)
            expect(page).to_have_url(f"{url}/login")


def test_login_and_logout_work_without_javascript(browser: Browser) -> None:
    with console_before(full_loop(), anonymous=False) as url:
        key = url.make_key("ada", Scope.READ)
        with visiting(browser, url, key="", java_script_enabled=False) as visit:
            visit.page.get_by_label("API key").fill(key)
            visit.page.get_by_role("button", name="Log in").click()
            expect(visit.page.locator("#account")).to_contain_text("Logged in as ada")
            visit.page.get_by_role("link", name="Log out…").click()
            visit.page.get_by_role("button", name="Log out").click()
            visit.page.goto(url)
            expect(visit.page).to_have_url(f"{url}/login")


def test_anonymous_reader_sees_how_to_log_in(browser: Browser, artefacts: Path) -> None:
    loop = full_loop()
    with console_before(loop) as url, visiting(browser, url, key="", viewport=WIDE) as visit:
        page = visit.page
        expect(page.locator("#restriction")).to_contain_text(
            "Log in to act: homeostat console prints a link."
        )
        for name in ("Approve", "Reject", "Roll back", "Acknowledge"):
            for button in page.get_by_role("button", name=name).all():
                expect(button).to_be_disabled()
        page.screenshot(path=artefacts / "console-anonymous.png", full_page=True)
        assert visit.problems() == []
        page.get_by_role("link", name="Log in").click()
        page.get_by_label("API key").fill(url.key)
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Approve")).to_be_enabled()


def test_revoked_key_ends_the_open_page(browser: Browser) -> None:
    with console_before(full_loop(), anonymous=False) as url:
        key = url.make_key("ada", Scope.READ)
        with visiting(browser, url, key=key, viewport=WIDE) as visit:
            visit.expected.append("401")
            expect(visit.page.locator("#account")).to_contain_text("ada")
            with url.key_file.changing() as keys:
                keys.clear()
            # At the next refresh of the page, at most some seconds later.
            expect(visit.page).to_have_url(f"{url}/login", timeout=15_000)


def test_page_changes_when_its_person_logs_out_elsewhere(browser: Browser) -> None:
    with console_before(full_loop()) as url, visiting(browser, url, viewport=WIDE) as visit:
        other = visit.page.context.new_page()
        other.goto(f"{url}/login")
        other.get_by_role("button", name="Log out").click()
        expect(visit.page.locator("#account")).to_contain_text("Not logged in", timeout=15_000)
        expect(visit.page.get_by_role("button", name="Approve")).to_be_disabled()


@contextmanager
def other_site(html: str) -> Iterator[str]:
    """A site of another origin; as browsers see it, `localhost` is another site than 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>x</title><link rel=icon href=data:,>" + html.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.mark.parametrize("path", ["/login", "/logout", "/api/runs/run-new/approve"])
def test_form_of_another_site_does_nothing(browser: Browser, path: str) -> None:
    loop = full_loop()
    with console_before(loop, anonymous=False) as url:
        mallory = url.make_key("mallory", *Scope)
        form = (
            f"<form method=post action='{url}{path}'><input name=key value='{mallory}'></form>"
            "<script>document.forms[0].submit()</script>"
        )
        with other_site(form) as elsewhere, visiting(browser, url, viewport=WIDE) as visit:
            visit.expected.append("403")
            visit.page.goto(elsewhere)
            expect(visit.page.locator("body")).to_contain_text("is not allowed")
            visit.page.goto(url)
            expect(visit.page.locator("#account")).to_contain_text("Logged in as local")
            assert loop.posted == []
            visit.strayed.clear()


def test_script_of_another_site_cannot_act_with_the_session(browser: Browser) -> None:
    loop = full_loop()
    with console_before(loop, anonymous=False) as url:
        script = f"""<p id=p></p><script>
        const body = '{{"state": "waiting_for_approval", "gate_digest": "d1"}}';
        const send = (headers, mode) => fetch("{url}/api/runs/run-new/approve",
          {{method: "POST", mode, credentials: "include", headers, body}}).then((answer) => answer.status, () => "blocked");
        Promise.all([send({{"Content-Type": "application/json", "X-Homeostat-Console": "1"}}, "cors"), send({{}}, "no-cors"),
          fetch("{url}/status.json", {{credentials: "include"}}).then(() => "read", () => "blocked"),
        ]).then((all) => {{ p.textContent = all.join(" ") }})</script>"""
        with other_site(script) as elsewhere, visiting(browser, url, viewport=WIDE) as visit:
            visit.expected += ["CORS", "Failed to load"]
            visit.page.goto(elsewhere)
            expect(visit.page.locator("#p")).to_have_text("blocked blocked blocked")
            assert loop.posted == []
            visit.strayed.clear()


def test_link_on_another_site_asks_first(browser: Browser) -> None:
    """It could log a person in as somebody else."""
    with console_before(full_loop(), anonymous=False) as url:
        link = url.login_link(url.make_key("mallory", *Scope))
        with (
            other_site(f"<a href='{link}'>a picture</a>") as elsewhere,
            visiting(browser, url, viewport=WIDE) as visit,
        ):
            page = visit.page
            page.goto(elsewhere)
            page.get_by_role("link").click()
            expect(page.locator("main")).to_contain_text("Continue only if you have just asked for it")
            assert visit.problems() == []
            page.goto(url)
            expect(page.locator("#account")).to_contain_text("Logged in as local")
            page.goto(elsewhere)
            page.get_by_role("link").click()
            page.get_by_role("button", name="Continue").click()
            expect(page.locator("#account")).to_contain_text("Logged in as mallory")
            visit.strayed.clear()


def test_identity_provider_logs_in(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, artefacts: Path
) -> None:
    """The provider is another site: the browser comes back from there with its session."""
    loop = full_loop()
    with running_provider("RS256") as provider:
        provider.issuer = provider.issuer.replace("127.0.0.1", "localhost")
        monkeypatch.setenv("HOMEOSTAT_OIDC_ISSUER", provider.issuer)
        monkeypatch.setenv("HOMEOSTAT_OIDC_AUDIENCE", AUDIENCE)
        monkeypatch.setenv("HOMEOSTAT_CONSOLE_OIDC_CLIENT_ID", CLIENT)
        monkeypatch.setenv("HOMEOSTAT_CONSOLE_OIDC_CLIENT_SECRET", CLIENT_SECRET)
        with (
            console_before(loop, anonymous=False) as url,
            visiting(browser, url, key="", viewport=WIDE) as visit,
        ):
            page = visit.page
            page.screenshot(path=artefacts / "console-login-oidc.png")
            assert visit.problems() == []
            page.get_by_role("link", name="Sign in with localhost").click()
            expect(page).to_have_url(f"{url}/")
            expect(page.locator("#account")).to_contain_text("Logged in as oidc:ada read, approve")
            assert {cookie["name"].rpartition("_")[0] for cookie in page.context.cookies()} == {
                "homeostat_session"
            }
            page.get_by_role("button", name="Approve").click()
            page.locator("#dialog-confirm").click()
            expect(page.get_by_role("status")).to_contain_text("Approved; the run is promoting.")
            assert loop.posted == [("/retraining/runs/run-new/approve", {"actor": "oidc:ada"})]
            visit.strayed.clear()  # the provider
