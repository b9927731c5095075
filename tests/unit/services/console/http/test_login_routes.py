"""Logging in and out of the console, and what other sites, guesses and old sessions cannot do."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.console.http.csrf import HEADER
from services.console.sessions.failed_logins import MAXIMUM_FAILURES
from shared.access.scope import Scope
from shared.errors import OperatorError
from tests.fakes.loop_services import full_loop
from tests.fakes.memory_keys import ALL
from tests.unit.services.console.harness import Console, Page, run
from tests.unit.services.console.http.test_routes import APPROVE, SHOWN

COOKIE = "homeostat_session_8005"
READ = frozenset({Scope.READ})
TYPED = {"Sec-Fetch-Site": "none"}
PAGES = ("/", "/reports/x")
DATA = ("/main", "/status.json", "/reports/x/content", "/metrics", "/none")


def console(**given: Any) -> Console:
    return Console(full_loop(), **{"anonymous": False, **given})


async def code_of(one: Console, key: str) -> str:
    made = await one.http.post("/login/codes", headers={"Authorization": f"Bearer {key}"})
    assert made.status_code == 201, made.text
    assert made.json()["path"] == f"/login?code={made.json()['code']}"
    assert made.json()["valid_seconds"] == 60
    return str(made.json()["code"])


async def may_read(one: Console) -> bool:
    return (await one.http.get("/status.json")).status_code == 200


def test_without_a_session_pages_lead_to_the_login() -> None:
    async def requests() -> None:
        one = console()
        for path in PAGES:
            answer = await one.http.get(path)
            assert (answer.status_code, answer.headers["Location"]) == (303, "/login"), path
        for path in DATA:
            answer = await one.http.get(path)
            assert answer.status_code == 401, path
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="homeostat"'
            assert answer.json()["error"] == "this needs credentials with the scope read"
        assert (await one.http.get("/health/live")).status_code == 200
        assert (await one.http.get("/login")).status_code == 200

    run(requests)


def test_key_logs_in_and_out() -> None:
    async def both() -> None:
        one = console()
        await one.log_in("ada", READ)
        assert "Logged in as" in (await one.http.get("/")).text
        assert (await one.http.get("/login")).text.count(
            "You are logged in as <strong>ada</strong> (read)"
        ) == 1
        cookie = one.http.cookies[COOKIE]
        out = await one.submit("/logout")
        assert (out.status_code, out.headers["Location"]) == (303, "/login")
        assert f'{COOKIE}="";' in out.headers["Set-Cookie"]
        assert len(one.sessions) == 0
        one.http.cookies.set(COOKIE, cookie)
        assert not await may_read(one)

    run(both)


def test_anonymous_reader_on_loopback_has_no_buttons() -> None:
    async def both() -> None:
        one = console(anonymous=True)
        page = Page((await one.http.get("/")).text)
        assert "Not logged in" in page.by_id("account").text
        assert page.by_id("restriction").text == (
            "You are not logged in. Log in to act: homeostat console prints a link."
        )
        assert all(
            "disabled" in page.by_id(name).attributes for name in ("approve-run-new", "rollback-flights")
        )
        refused = await one.http.post(APPROVE, json=SHOWN, headers={HEADER: "1"})
        assert refused.status_code == 401
        await one.log_in()
        assert (await one.post(APPROVE, SHOWN)).status_code == 200

    run(both)


def test_action_carries_the_credential_of_the_person() -> None:
    loop = full_loop()

    async def acts() -> str:
        one = Console(loop, api_key="hs_console_key")
        key = await one.log_in("ada")
        assert (await one.post(APPROVE, {**SHOWN, "actor": "mallory"})).status_code == 200
        await one.http.get("/reports/x/content")
        await one.aggregator.snapshot()
        return key

    key = run(acts)
    assert loop.posted == [("/retraining/runs/run-new/approve", {"actor": "ada"})]
    mine = {f"Bearer {key}"}
    assert loop.credentials["/retraining/runs/run-new"] == mine
    assert loop.credentials["/retraining/runs/run-new/approve"] == mine
    assert loop.credentials["/drift/reports/x"] == mine
    # The console reads with its own key.
    assert loop.credentials["/retraining/status"] == {"Bearer hs_console_key"}


def test_shared_local_key_may_give_a_name() -> None:
    loop = full_loop()

    async def acts() -> None:
        one = Console(loop)
        await one.log_in("local")
        key = "b" * 32
        for actor in ("anna", ""):
            await one.post(f"/api/causes/{key}/acknowledge", {"actor": actor})

    run(acts)
    assert [body["actor"] for _, body in loop.posted] == ["anna", "local"]


def test_retraining_that_does_not_know_the_key_does_not_log_out() -> None:
    loop = full_loop()

    async def acts() -> tuple[httpx.Response, bool]:
        one = Console(loop, anonymous=False)
        await one.log_in("ada")
        loop.refuses = 401
        return await one.post(APPROVE, SHOWN), await may_read(one)

    answer, still = run(acts)
    assert answer.status_code == 403
    assert "nothing was done: retraining does not accept the credential of ada" in answer.json()["error"]
    assert still


@pytest.mark.parametrize(
    ("scopes", "enabled"),
    [
        (READ, set()),
        (READ | {Scope.APPROVE}, {"approve-run-new", "reject-run-new"}),
        (READ | {Scope.OPERATE}, {"item-acknowledge-flights-drift", f"decision-acknowledge-{'b' * 32}"}),
        (READ | {Scope.ADMIN}, {"rollback-flights"}),
    ],
)
def test_buttons_are_enabled_by_scope(scopes: frozenset[Scope], enabled: set[str]) -> None:
    async def page_of() -> tuple[Page, int]:
        one = console()
        await one.log_in("ada", scopes)
        page = Page((await one.http.get("/")).text)
        return page, (await one.post(APPROVE, SHOWN)).status_code

    page, status = run(page_of)
    buttons = [one for one in page.all("button") if "data-action" in one.attributes]
    assert {one.id for one in buttons if "disabled" not in one.attributes} == enabled
    assert status == (200 if Scope.APPROVE in scopes else 403)
    restriction = page.by_id("restriction").text
    assert restriction.startswith("You cannot ")
    for scope in (Scope.APPROVE, Scope.OPERATE, Scope.ADMIN):
        assert (scope in restriction.partition(" lacks ")[2]) == (scope not in scopes)
    assert all(
        one.attributes["aria-describedby"] == "restriction" for one in buttons if one.id not in enabled
    )


# Sessions


def test_cookie_is_private_to_the_page() -> None:
    async def logged_in(is_secure: bool) -> str:
        one = console(is_secure=is_secure)
        answer = await one.submit("/login", key=one.keys.add())
        [cookie] = answer.headers.get_list("Set-Cookie")
        return cookie

    plain, secure = run(lambda: logged_in(False)), run(lambda: logged_in(True))
    name, value = plain.partition(";")[0].split("=")
    assert (name, len(value)) == (COOKIE, 43)
    assert sorted(part.strip() for part in plain.split(";")[1:]) == ["HttpOnly", "Path=/", "SameSite=strict"]
    assert secure.startswith("__Host-homeostat_session=")
    assert sorted(part.strip() for part in secure.split(";")[1:]) == [
        "HttpOnly",
        "Path=/",
        "SameSite=strict",
        "Secure",
    ]


def test_login_makes_a_new_id_and_ends_the_old_session() -> None:
    """A person can be made to use an id that somebody else has put into their browser (session fixation)."""

    async def logs_in() -> None:
        one = console()
        one.http.cookies.set(COOKIE, "x" * 43)
        key = one.keys.add("ada", READ)
        first = (await one.submit("/login", key=key)).cookies[COOKIE]
        assert first != "x" * 43
        one.http.cookies.clear()
        one.http.cookies.set(COOKIE, first)
        second = (await one.submit("/login", key=key)).cookies[COOKIE]
        assert second != first
        for cookie, expected in ((first, False), ("x" * 43, False), (second, True)):
            one.http.cookies.clear()
            one.http.cookies.set(COOKIE, cookie)
            assert await may_read(one) is expected

    run(logs_in)


def test_second_cookie_of_the_same_name_counts_as_none() -> None:
    async def requests() -> list[int]:
        one = console()
        await one.log_in()
        cookie = one.http.cookies[COOKIE]
        one.http.cookies.clear()
        headers = [f"{COOKIE}={cookie}", f"{COOKIE}={cookie}; {COOKIE}=x", f"{COOKIE}_x={cookie}"]
        return [
            (await one.http.get("/status.json", headers={"Cookie": text})).status_code for text in headers
        ]

    assert run(requests) == [200, 401, 401]


def test_revoked_key_ends_its_sessions_at_the_next_request() -> None:
    async def revoked() -> None:
        one = console()
        await one.log_in("bob")
        bob = one.http.cookies[COOKIE]
        one.http.cookies.clear()
        await one.log_in("ada")
        valid = dict(one.keys.keys)
        assert await may_read(one)
        one.keys.revoke("ada")
        assert (await one.post(APPROVE, SHOWN)).status_code == 401
        one.keys.keys = valid  # the session stays ended
        assert (await one.http.get("/")).headers["Location"] == "/login"
        one.http.cookies.clear()
        one.http.cookies.set(COOKIE, bob)
        assert await may_read(one)

    run(revoked)


def test_unreadable_keys_admit_nobody_and_end_no_session() -> None:
    async def requests() -> list[int]:
        one = console()
        await one.log_in()
        one.keys.broken = OperatorError("the API keys cannot be read")
        refused = (await one.http.get("/status.json")).status_code
        one.keys.broken = None
        return [refused, (await one.http.get("/status.json")).status_code]

    assert run(requests) == [503, 200]


def test_session_ends_when_it_is_idle_although_the_page_refreshes() -> None:
    async def waits() -> None:
        one = console()
        await one.log_in()
        one.clock.forward(1799)
        assert (await one.http.get("/main")).status_code == 200
        one.clock.forward(1)
        assert (await one.http.get("/main")).status_code == 401
        await one.log_in()
        one.clock.forward(1799)
        assert await may_read(one)
        one.clock.forward(1799)
        assert await may_read(one)

    run(waits)


def test_header_wins_over_the_session() -> None:
    async def requests() -> list[int]:
        one = console()
        await one.log_in()
        return [
            (await one.http.get("/status.json", headers={"Authorization": text})).status_code
            for text in ("Bearer hs_wrong", f"Bearer {one.keys.add('ci', READ)}")
        ]

    assert run(requests) == [401, 200]


# Other sites


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8000"},
        {"Origin": "http://localhost:8005", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://localhost:8005", "Sec-Fetch-Site": "same-site"},
        {},
    ],
)
@pytest.mark.parametrize("path", ["/login", "/logout"])
def test_other_sites_cannot_log_in_or_out(path: str, headers: dict[str, str]) -> None:
    """Logged in as somebody else, a person would act in their name (login CSRF)."""

    async def posts() -> None:
        one = console()
        mallory = one.keys.add("mallory")
        await one.log_in("ada")
        before = dict(one.http.cookies)
        answer = await one.http.post(path, data={"key": mallory}, headers=headers)
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers
        assert dict(one.http.cookies) == before
        assert "<strong>ada</strong>" in (await one.http.get("/")).text

    run(posts)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:8000"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({HEADER: ""}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:8005", "Origin": "http://evil.example:8005"}, 421),
    ],
)
def test_session_does_not_let_other_sites_act(headers: dict[str, str], status: int) -> None:
    loop = full_loop()

    async def posts() -> int:
        one = Console(loop, anonymous=False)
        await one.log_in()
        cookie = f"{COOKIE}={one.http.cookies[COOKIE]}"
        return (await one.post(APPROVE, SHOWN, Cookie=cookie, **headers)).status_code

    assert run(posts) == status
    assert loop.posted == []


def test_foreign_host_with_the_cookie_reads_nothing() -> None:
    async def requests() -> list[int]:
        one = console()
        await one.log_in()
        cookie = f"{COOKIE}={one.http.cookies[COOKIE]}"
        headers = {"Host": "evil.example:8005", "Cookie": cookie}
        return [
            (await one.http.get(path, headers=headers)).status_code for path in (*PAGES, *DATA[:3], "/login")
        ]

    assert run(requests) == [421] * 6


# One-time codes


def test_link_logs_in_once() -> None:
    async def opens() -> None:
        one = console()
        key = one.keys.add("ada", READ)
        code = await code_of(one, key)
        assert key not in code
        first = await one.http.get("/login", params={"code": code}, headers=TYPED)
        assert (first.status_code, first.headers["Location"]) == (303, "/")
        assert await may_read(one)
        one.http.cookies.clear()
        second = await one.http.get("/login", params={"code": code}, headers=TYPED)
        assert second.status_code == 401
        assert "The login failed: the link is not valid: it works once, within a minute." in second.text
        assert "Set-Cookie" not in second.headers
        assert not await may_read(one)

    run(opens)


def test_link_expires_after_a_minute() -> None:
    async def opens() -> int:
        one = console()
        code = await code_of(one, one.keys.add())
        one.clock.forward(60)
        return (await one.http.get("/login", params={"code": code}, headers=TYPED)).status_code

    assert run(opens) == 401


def test_link_of_a_revoked_key_does_not_log_in() -> None:
    async def opens() -> int:
        one = console()
        code = await code_of(one, one.keys.add("ada"))
        one.keys.revoke("ada")
        return (await one.http.get("/login", params={"code": code}, headers=TYPED)).status_code

    assert run(opens) == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none", "Sec-Purpose": "prefetch"},
    ],
)
def test_link_on_another_site_has_to_be_confirmed(headers: dict[str, str]) -> None:
    async def opens() -> None:
        one = console()
        code = await code_of(one, one.keys.add("ada", READ))
        shown = await one.http.get("/login", params={"code": code}, headers=headers)
        assert (shown.status_code, "Set-Cookie" in shown.headers) == (200, False)
        page = Page(shown.text.removeprefix("<!doctype html>"))
        assert page.one("input", name_="code").attributes["value"] == code
        assert (await one.submit("/login", code=code)).headers["Location"] == "/"
        assert await may_read(one)

    run(opens)


def test_code_needs_an_api_key() -> None:
    async def requests() -> list[int]:
        found = []
        for anonymous in (False, True):
            one = console(anonymous=anonymous)
            found.append((await one.http.post("/login/codes")).status_code)
            await one.log_in()
            found.append((await one.http.post("/login/codes", headers={HEADER: "1"})).status_code)
            wrong = {"Authorization": "Bearer hs_wrong"}
            found.append((await one.http.post("/login/codes", headers=wrong)).status_code)
        return found

    assert run(requests) == [401] * 6


def test_guesses_are_bounded() -> None:
    async def guesses() -> None:
        one = console()
        key = one.keys.add("ada", READ)
        code = await code_of(one, key)
        for number in range(MAXIMUM_FAILURES):
            if number % 2:
                answer = await one.submit("/login", key="hs_000000000000_" + "x" * 43)
            else:
                answer = await one.http.get("/login", params={"code": "x" * 43}, headers=TYPED)
            assert answer.status_code == 401
        wrong = await one.submit("/login", key="hs_000000000000_" + "x" * 43)
        assert (wrong.status_code, "Set-Cookie" in wrong.headers) == (429, False)
        # Whoever guesses cannot keep others out, who may have the same address.
        for right in (
            await one.submit("/login", key=key),
            await one.http.get("/login", params={"code": code}, headers=TYPED),
        ):
            assert right.status_code == 303
        one.clock.forward(60)
        assert (await one.submit("/login", key="x")).status_code == 401

    run(guesses)


# The form


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "is not `Bearer` with a key or token"),
        ("hs_000000000000_" + "x" * 43, "the API key is not known here"),
        ("a password", "the credentials are not an API key"),
        ("ö" * 9000, "is not `Bearer` with a key or token"),
    ],
)
def test_wrong_key_does_not_log_in(key: str, said: str) -> None:
    async def submits() -> None:
        one = console()
        answer = await one.submit("/login", key=key)
        assert answer.status_code in (401, 413)
        if answer.status_code == 401:
            assert said in Page(answer.text.removeprefix("<!doctype html>")).one("p", role="alert").text
        assert "Set-Cookie" not in answer.headers
        assert len(one.sessions) == 0

    run(submits)


def test_key_that_may_not_read_does_not_log_in() -> None:
    async def submits() -> tuple[int, str]:
        one = console()
        answer = await one.submit("/login", key=one.keys.add("app", frozenset({Scope.PREDICT})))
        return answer.status_code, answer.text

    status, text = run(submits)
    assert (status, "app lacks the scope read" in text) == (403, True)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"x" * 20_000, "application/x-www-form-urlencoded", 413),
        (b"\xff", "application/x-www-form-urlencoded", 400),
        (b"a=1&" * 20, "application/x-www-form-urlencoded", 400),
        (b"", "application/x-www-form-urlencoded", 401),
    ],
)
def test_malformed_form_is_refused(content: bytes, kind: str, status: int) -> None:
    async def submits() -> int:
        one = console()
        headers = {"Origin": one.origin, "Content-Type": kind}
        return (await one.http.post("/login", content=content, headers=headers)).status_code

    assert run(submits) == status


def test_login_page_loads_nothing_and_is_not_framed() -> None:
    hostile = '"><script>alert(1)</script>'

    async def opens() -> httpx.Response:
        return await console().http.get("/login", params={"code": hostile})

    answer = run(opens)
    page = Page(answer.text.removeprefix("<!doctype html>"))
    assert not page.all("script")
    assert page.one("input", name_="code").attributes["value"] == hostile
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src" not in policy
    assert "form-action 'self'; frame-ancestors 'none'" in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Cache-Control"] == "no-store"
    # Not `no-referrer`: browsers would send `Origin: null` with the form.
    assert answer.headers["Referrer-Policy"] == "same-origin"


def test_console_without_restriction_says_nothing() -> None:
    async def opens() -> str:
        one = console()
        await one.log_in("ada", ALL)
        return (await one.http.get("/")).text

    page = Page(run(opens))
    assert page.by_id("restriction").text == ""
    assert page.one("meta", name_="homeostat-actor").attributes["content"] == "ada"
    assert not page.all("button", id="user")
    assert page.by_id("main").attributes["data-viewer"] == "ada"
