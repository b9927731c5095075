"""Logging in with an identity provider: code flow, and answers that do not belong to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests import local_http
from tests.fakes.identity_provider import CLIENT, IdentityProvider, running_provider
from tests.fakes.loop_services import full_loop
from tests.unit.services.console.harness import Console, Page, run
from tests.unit.services.console.http.test_login_routes import COOKIE
from tests.unit.services.console.http.test_routes import APPROVE, SHOWN

LOGIN_COOKIE = "homeostat_login_8005"


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with running_provider() as running:
        yield running


def console(provider: IdentityProvider, **given: Any) -> Console:
    return Console(full_loop(), **{"anonymous": False, "provider": provider, **given})


async def begin(one: Console) -> str:
    """Begin a login; the URL at the provider."""
    answer = await one.http.get("/login/oidc")
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


async def at_provider(location: str) -> str:
    """What a browser does at the provider: log in, and come back with a code; the path of the console to open."""
    answer = await asyncio.to_thread(local_http.get, location)
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["Location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == "http://localhost:8005/login/callback"
    return f"{back.path}?{back.query}"


async def log_in(one: Console) -> httpx.Response:
    answer = await one.http.get(await at_provider(await begin(one)))
    assert answer.status_code == 200, answer.text
    return answer


def test_login_page_offers_the_provider(provider: IdentityProvider) -> None:
    async def opens() -> str:
        return (await console(provider).http.get("/login")).text

    page = Page(run(opens).removeprefix("<!doctype html>"))
    [link] = page.all("a", id="login-oidc")
    assert (link.text, link.attributes["href"]) == ("Sign in with 127.0.0.1", "/login/oidc")


def test_request_has_pkce_state_and_nonce(provider: IdentityProvider) -> None:
    async def begins() -> list[tuple[str, str]]:
        one = console(
            provider, registration={"scopes": "openid read", "parameters": "audience=homeostat&scope=x"}
        )
        found = []
        for _ in range(2):
            answer = await one.http.get("/login/oidc")
            [cookie] = answer.headers.get_list("Set-Cookie")
            found.append((answer.headers["Location"], cookie))
        return found

    (location, cookie), (other, _) = run(begins)
    assert location.startswith(f"{provider.issuer}/authorize?")
    query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    again = parse_qs(urlsplit(other).query)
    for name in ("state", "nonce", "code_challenge"):
        assert len(query.pop(name)) == 43
        assert again[name][0] not in location
    assert query == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": "http://localhost:8005/login/callback",
        "scope": "openid read",
        "code_challenge_method": "S256",
        "audience": "homeostat",
    }
    assert cookie.startswith(f"{LOGIN_COOKIE}=")
    attributes = sorted(part.strip() for part in cookie.split(";")[1:])
    assert attributes == ["HttpOnly", "Max-Age=600", "Path=/", "SameSite=lax"]


def test_person_logs_in_and_acts_with_their_token(provider: IdentityProvider) -> None:
    loop = full_loop()

    async def acts() -> None:
        one = Console(loop, anonymous=False, provider=provider)
        landing = await log_in(one)
        # No redirect: as a part of the way from the provider, the browser would not send the cookie.
        assert '<meta http-equiv="refresh" content="0; url=/">' in landing.text
        session, login = landing.headers.get_list("Set-Cookie")
        assert session.startswith(f"{COOKIE}=")
        assert "SameSite=strict" in session
        assert login.startswith(f'{LOGIN_COOKIE}="";')
        page = Page((await one.http.get("/")).text)
        assert page.by_id("account").text.startswith("Logged in as oidc:ada read, approve")
        assert (await one.post(APPROVE, SHOWN)).status_code == 200
        assert (await one.post("/api/causes/x/acknowledge", {})).status_code == 403

    run(acts)
    [sent] = loop.credentials["/retraining/runs/run-new/approve"]
    assert sent.startswith("Bearer eyJ")
    assert loop.posted == [("/retraining/runs/run-new/approve", {"actor": "oidc:ada"})]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.replace("state=", "state=x"), "this browser did not begin the login"),
        (lambda path: path.partition("&state")[0], "this browser did not begin the login"),
        (lambda path: path.replace("code=", "code=x"), "the identity provider gave no tokens"),
        (lambda path: path.replace("code=", "x="), "the identity provider did not log you in"),
        (lambda path: f"{path}&error=access_denied", "the identity provider did not log you in"),
        (
            lambda path: f"{path.partition('&iss')[0]}&iss=https://evil.example",
            "the answer is of another identity provider",
        ),
    ],
)
def test_wrong_answer_does_not_log_in(
    provider: IdentityProvider, spoil: Callable[[str], str], said: str
) -> None:
    async def comes_back() -> None:
        one = console(provider)
        answer = await one.http.get(spoil(await at_provider(await begin(one))))
        assert (answer.status_code, said in answer.text) == (401, True), answer.text
        assert len(one.sessions) == 0
        assert COOKIE not in one.http.cookies

    run(comes_back)


def test_answer_to_another_browser_does_not_log_in(provider: IdentityProvider) -> None:
    """Otherwise a link could log a person in as somebody else."""

    async def comes_back() -> None:
        one = console(provider)
        path = await at_provider(await begin(one))
        mine = one.http.cookies[LOGIN_COOKIE]
        one.http.cookies.clear()
        assert (await one.http.get(path)).status_code == 401
        one.http.cookies.set(LOGIN_COOKIE, "not.what.wasset")
        assert (await one.http.get(path)).status_code == 401
        one.http.cookies.clear()
        await begin(one)
        assert (await one.http.get(path)).status_code == 401
        one.http.cookies.clear()
        one.http.cookies.set(LOGIN_COOKIE, mine)
        assert (await one.http.get(path)).status_code == 200
        one.http.cookies.clear()
        one.http.cookies.set(LOGIN_COOKIE, mine)
        assert (await one.http.get(path)).status_code == 401  # the code was used

    run(comes_back)


def test_foreign_answers_do_not_lock_a_person_out(provider: IdentityProvider) -> None:
    """A page of another site can send the browser to the callback as often as it likes."""

    async def comes_back() -> int:
        one = console(provider)
        for _ in range(30):
            await one.http.get("/login/callback?code=x&state=y")
        return (await log_in(one)).status_code

    assert run(comes_back) == 200


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"nonce": "another"}, "belongs to another login"),
        ({"nonce": None}, "belongs to another login"),
        ({"azp": "another client"}, "belongs to another login"),
        ({"sub": "mallory"}, "the tokens are of different people"),
        ({"aud": "another client"}, "for another audience"),
        ({"iss": "https://evil.example"}, "of another issuer"),
        ({"exp": 1}, "has expired"),
    ],
)
def test_wrong_id_token_does_not_log_in(
    provider: IdentityProvider, claims: dict[str, Any], said: str
) -> None:
    provider.id_claims = claims

    async def comes_back() -> httpx.Response:
        one = console(provider)
        return await one.http.get(await at_provider(await begin(one)))

    answer = run(comes_back)
    assert (answer.status_code, said in answer.text) == (401, True), answer.text


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"scope": "approve"}, 403, "oidc:ada lacks the scope read"),
        ({"scope": ""}, 403, "oidc:ada lacks the scope read"),
        ({"subject": "a (b)"}, 401, "is no name"),
    ],
)
def test_access_token_has_to_permit_reading(
    provider: IdentityProvider, changed: dict[str, str], status: int, said: str
) -> None:
    for name, value in changed.items():
        setattr(provider, name, value)

    async def comes_back() -> httpx.Response:
        one = console(provider)
        return await one.http.get(await at_provider(await begin(one)))

    answer = run(comes_back)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


def test_wrong_secret_of_the_client_does_not_log_in(provider: IdentityProvider) -> None:
    async def comes_back() -> httpx.Response:
        one = console(provider, registration={"client_secret": "wrong"})
        return await one.http.get(await at_provider(await begin(one)))

    answer = run(comes_back)
    assert (answer.status_code, "the identity provider gave no tokens" in answer.text) == (401, True)


def test_provider_that_is_away_is_named(provider: IdentityProvider) -> None:
    async def requests() -> list[int]:
        one = console(provider)
        path = await at_provider(await begin(one))
        provider.failure = 503
        away = await one.http.get(path)
        assert "the identity provider returned status 503" in away.text
        return [away.status_code, (await one.http.get("/login")).status_code]

    assert run(requests) == [503, 200]


def test_token_is_renewed_before_it_expires(provider: IdentityProvider) -> None:
    async def waits() -> None:
        one = console(provider)
        await log_in(one)
        assert len(provider.forms) == 1
        one.clock.forward(provider.lifetime_s - 31)
        assert (await one.http.get("/main")).status_code == 200
        assert len(provider.forms) == 1
        one.clock.forward(1)
        answers = await asyncio.gather(*(one.http.get("/main") for _ in range(8)))
        assert [answer.status_code for answer in answers] == [200] * 8
        # Once for all of them: a token to renew with is often valid once.
        assert [form["grant_type"] for form in provider.forms] == ["authorization_code", "refresh_token"]

    run(waits)


def test_cancelled_request_does_not_cancel_the_renewal(provider: IdentityProvider) -> None:
    """The provider may already have replaced the token to renew with: the next try would fail."""

    async def waits() -> None:
        one = console(provider)
        await log_in(one)
        one.clock.forward(provider.lifetime_s)
        [session] = vars(one.sessions)["_sessions"].values()
        provider.slow_s = 0.2
        renewal = one.renewal
        assert renewal is not None
        first, second = (asyncio.create_task(renewal.keep_current(session)) for _ in range(2))
        await asyncio.sleep(0.05)
        first.cancel()
        await second
        assert session.renew_at_s > one.clock.ticks()
        assert [form["grant_type"] for form in provider.forms] == ["authorization_code", "refresh_token"]

    run(waits)


@pytest.mark.parametrize(("failure", "tries"), [(503, 3), (400, 1)])
def test_session_outlives_the_provider_as_long_as_its_token(
    provider: IdentityProvider, failure: int, tries: int
) -> None:
    provider.lifetime_s = 32.0

    async def waits() -> None:
        one = console(provider)
        await log_in(one)
        provider.failure = failure
        before = provider.asked["/token"]
        for _ in range(3):
            one.clock.forward(10)
            for _ in range(2):
                assert (await one.http.get("/main")).status_code == 200
        assert provider.asked["/token"] - before == tries

    run(waits)


def test_session_ends_when_its_token_has_expired(provider: IdentityProvider) -> None:
    async def waits() -> None:
        one = console(provider)
        await log_in(one)
        provider.refresh_tokens.clear()
        for session in vars(one.sessions)["_sessions"].values():
            session.authorization = f"Bearer {provider.token(exp=int(time.time()) - 60)}"
        assert (await one.http.get("/main")).status_code == 401
        assert len(one.sessions) == 0

    run(waits)


def test_renewed_token_of_somebody_else_ends_the_session(provider: IdentityProvider) -> None:
    async def waits() -> None:
        one = console(provider)
        await log_in(one)
        provider.subject = "mallory"
        one.clock.forward(provider.lifetime_s)
        assert (await one.http.get("/main")).status_code == 401
        assert len(one.sessions) == 0

    run(waits)


def test_program_sends_a_token_itself(provider: IdentityProvider) -> None:
    async def requests() -> list[int]:
        one = console(provider)
        tokens = (provider.token(), provider.token(aud="another"), provider.token(scope=""))
        return [
            (await one.http.get("/status.json", headers={"Authorization": f"Bearer {token}"})).status_code
            for token in tokens
        ]

    assert run(requests) == [200, 401, 403]


def test_without_a_provider_there_is_no_such_login() -> None:
    async def requests() -> list[Any]:
        one = Console(full_loop(), anonymous=False)
        paths = ("/login/oidc", "/login/callback?code=x&state=y")
        assert "login-oidc" not in (await one.http.get("/login")).text
        return [(await one.http.get(path)).headers["Location"] for path in paths]

    assert run(requests) == ["/login"] * 2
