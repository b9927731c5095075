"""Keys of a provider: fetched when needed, renewed, kept while it is away; and how long a slow or wrong one can hold us."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from shared.access.authenticator import Authenticator
from shared.access.caller import KeysNotAtHand, Unauthenticated
from shared.access.oidc.provider import FRESH_S, MAXIMUM_KEYS, MINIMUM_INTERVAL_S, Provider
from shared.access.oidc.provider_http import request_json
from shared.access.oidc.token_verifier import OidcTokenVerifier
from shared.errors import DependencyUnavailable, OperatorError
from tests.fakes.identity_provider import IdentityProvider
from tests.fakes.memory_keys import FakeKeys
from tests.unit.shared.access.oidc.test_token_verifier import settings_of
from tests.waiting import bound, time_factor

OUTAGE_S = 4 * 3600.0
KEYS = "/keys"


class Ticks:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def made(provider: IdentityProvider) -> tuple[OidcTokenVerifier, Provider, Ticks]:
    ticks = Ticks()
    verifier = OidcTokenVerifier.of(settings_of(provider))
    verifier.provider = Provider(
        provider.issuer,
        outage_s=OUTAGE_S,
        fetch=lambda url: request_json(url, timeout_s=0.5 * time_factor()),
        monotonic=ticks,
    )
    return verifier, verifier.provider, ticks


def settle(one: Provider) -> None:
    """Wait for a fetch in the background."""
    thread = vars(one)["_background"]
    if thread is not None:
        thread.join(bound(10))
        assert not thread.is_alive()


def test_nothing_is_fetched_before_a_token_needs_it(provider: IdentityProvider) -> None:
    verifier, _, _ = made(provider)
    assert provider.asked == {}
    with pytest.raises(KeysNotAtHand):
        verifier.verify(provider.token())
    assert provider.asked == {}
    verifier.refresh()
    assert verifier.verify(provider.token())
    assert provider.asked == {"/.well-known/openid-configuration": 1, KEYS: 1}


def test_new_key_is_fetched_when_a_token_names_it(provider: IdentityProvider) -> None:
    verifier, _, ticks = made(provider)
    verifier.refresh()
    old = provider.token()
    provider.rotate(keep=True)
    ticks.now += MINIMUM_INTERVAL_S
    with pytest.raises(KeysNotAtHand):
        verifier.verify(provider.token())
    verifier.refresh()
    assert verifier.verify(provider.token())
    assert verifier.verify(old)


def test_unknown_keys_do_not_flood_the_provider(provider: IdentityProvider) -> None:
    verifier, _, ticks = made(provider)
    verifier.refresh()
    for number in range(50):
        token = provider.token(headers={"kid": f"unknown-{number}"})
        with pytest.raises(Unauthenticated, match="does not publish"):
            verifier.verify(token)
        verifier.refresh()
    assert provider.asked[KEYS] == 1
    ticks.now += MINIMUM_INTERVAL_S
    with pytest.raises(KeysNotAtHand):
        verifier.verify(provider.token(headers={"kid": "unknown"}))
    verifier.refresh()
    with pytest.raises(Unauthenticated, match="does not publish"):
        verifier.verify(provider.token(headers={"kid": "unknown"}))
    assert provider.asked[KEYS] == 2


def test_withdrawn_key_is_refused_after_the_next_fetch(provider: IdentityProvider) -> None:
    verifier, one, ticks = made(provider)
    verifier.refresh()
    old = provider.token()
    provider.rotate()
    ticks.now += FRESH_S
    assert verifier.verify(old)  # does not wait: the fetch runs in the background
    settle(one)
    with pytest.raises(Unauthenticated, match="does not publish"):
        verifier.verify(old)
    assert verifier.verify(provider.token())


def test_last_keys_are_used_while_the_provider_is_away(provider: IdentityProvider) -> None:
    verifier, one, ticks = made(provider)
    verifier.refresh()
    provider.failure = 503
    for _ in range(3):
        ticks.now += (OUTAGE_S - 1) / 3
        assert verifier.verify(provider.token())
        settle(one)
    assert provider.asked[KEYS] == 1
    ticks.now += 1
    with pytest.raises(DependencyUnavailable, match="returned status 503"):
        verifier.verify(provider.token())
    ticks.now += MINIMUM_INTERVAL_S
    with pytest.raises(KeysNotAtHand):
        verifier.verify(provider.token())
    provider.failure = 0
    verifier.refresh()
    assert verifier.verify(provider.token())


def test_provider_that_was_never_there_is_named(provider: IdentityProvider) -> None:
    verifier, _, _ = made(provider)
    provider.failure = 500
    verifier.refresh()
    with pytest.raises(DependencyUnavailable, match="the identity provider returned status 500") as refused:
        verifier.verify(provider.token())
    assert refused.value.status == 503


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"issuer": "https://evil.example"}, "calls itself 'https://evil.example'"),
        ({"issuer": None}, "calls itself 'None'"),
        ({"jwks_uri": "http://evil.example/keys"}, "is not an https:// URL"),
        ({"jwks_uri": "file:///etc/passwd"}, "is not an https:// URL"),
        ({"jwks_uri": 7}, "publishes no jwks_uri"),
        ({"token_endpoint": "http://evil.example/token"}, "is not an https:// URL"),
    ],
)
def test_wrong_description_is_refused(provider: IdentityProvider, said: dict[str, Any], problem: str) -> None:
    verifier, _, _ = made(provider)
    provider.said = said
    verifier.refresh()
    with pytest.raises(OperatorError, match=problem):
        verifier.verify(provider.token())
    assert KEYS not in provider.asked


@pytest.mark.parametrize("keys", [None, {}, [{}] * (MAXIMUM_KEYS + 1), "x"])
def test_malformed_keys_are_refused(provider: IdentityProvider, keys: Any) -> None:
    verifier, _, _ = made(provider)
    provider.keys = keys
    verifier.refresh()
    with pytest.raises(DependencyUnavailable, match="the keys of the identity provider are malformed"):
        verifier.verify(provider.token())


@pytest.mark.parametrize("junk", [7, None, "x", {"kty": "EC", "kid": "j"}, {"kty": ["EC"]}, {"kid": {}}])
def test_unusable_key_beside_a_good_one_is_ignored(provider: IdentityProvider, junk: Any) -> None:
    verifier, _, _ = made(provider)
    provider.keys.append(junk)
    verifier.refresh()
    assert verifier.verify(provider.token())


def test_redirect_is_not_followed(provider: IdentityProvider) -> None:
    verifier, _, _ = made(provider)
    provider.redirect = f"{provider.issuer}/keys"
    verifier.refresh()
    with pytest.raises(DependencyUnavailable, match="redirect"):
        verifier.verify(provider.token())
    assert KEYS not in provider.asked


@pytest.mark.parametrize("kind", ["slow", "drips"])
def test_slow_provider_is_given_up(provider: IdentityProvider, kind: str) -> None:
    verifier, _, _ = made(provider)
    provider.slow_s, provider.drips = (5.0, False) if kind == "slow" else (0.0, True)
    began = time.monotonic()
    verifier.refresh()
    assert time.monotonic() - began < bound(3)
    with pytest.raises(DependencyUnavailable, match="cannot be used"):
        verifier.verify(provider.token())


def test_large_answer_is_refused(provider: IdentityProvider) -> None:
    verifier, _, _ = made(provider)
    provider.said = {"x": "x" * (300 << 10)}
    verifier.refresh()
    with pytest.raises(DependencyUnavailable, match="is larger than 262144 bytes"):
        verifier.verify(provider.token())


@pytest.mark.parametrize(
    "url", ["http://evil.example", "ftp://127.0.0.1", "example.org", "https://" + "ada" + "@example.org", ""]
)
def test_issuer_is_https_or_on_this_machine(url: str) -> None:
    with pytest.raises(OperatorError, match="is not an https:// URL"):
        Provider(url, outage_s=OUTAGE_S)
    Provider("https://example.org/realms/x", outage_s=OUTAGE_S)


def authenticator_of(verifier: OidcTokenVerifier) -> Authenticator:
    return FakeKeys().authenticator(tokens=verifier)


def test_slow_provider_does_not_block_the_event_loop(provider: IdentityProvider) -> None:
    verifier, _, _ = made(provider)
    authenticator = authenticator_of(verifier)
    provider.slow_s = 0.2

    async def requests() -> tuple[list[str], float, int]:
        slowest, went_on = 0.0, True

        async def watch() -> None:
            nonlocal slowest
            while went_on:
                began = time.monotonic()
                await asyncio.sleep(0.005)
                slowest = max(slowest, time.monotonic() - began)

        watching = asyncio.create_task(watch())
        header = f"Bearer {provider.token()}"
        before = threading.active_count()
        tasks = [asyncio.create_task(authenticator.identify(header)) for _ in range(40)]
        await asyncio.sleep(0.1)
        threads = threading.active_count() - before
        names = [caller.name for caller in await asyncio.gather(*tasks)]
        went_on = False
        await watching
        return names, slowest, threads

    names, slowest, threads = asyncio.run(requests())
    assert names == ["oidc:ada"] * 40
    assert provider.asked == {"/.well-known/openid-configuration": 1, KEYS: 1}
    assert slowest < bound(0.15)
    assert threads < 10  # not one for each request: one fetch, its timer, and those of the fake


def test_cancelled_request_does_not_cancel_the_fetch(provider: IdentityProvider) -> None:
    verifier, _, _ = made(provider)
    authenticator = authenticator_of(verifier)
    provider.slow_s = 0.1

    async def requests() -> str:
        header = f"Bearer {provider.token()}"
        first = asyncio.create_task(authenticator.identify(header))
        second = asyncio.create_task(authenticator.identify(header))
        await asyncio.sleep(0.05)
        first.cancel()
        return (await second).name

    assert asyncio.run(requests()) == "oidc:ada"


def test_api_keys_work_without_the_provider(provider: IdentityProvider) -> None:
    verifier, _, _ = made(provider)
    provider.failure = 503
    keys = FakeKeys()
    authenticator = keys.authenticator(tokens=verifier)
    header = f"Bearer {keys.add('ci')}"
    assert asyncio.run(authenticator.identify(header)).name == "ci"
    assert authenticator.authenticate(header).name == "ci"
    with pytest.raises(DependencyUnavailable):
        asyncio.run(authenticator.identify(f"Bearer {provider.token()}"))
    assert provider.asked.get(KEYS) is None


def test_huge_token_is_refused_before_it_is_read(provider: IdentityProvider) -> None:
    verifier, _, _ = made(provider)
    with pytest.raises(Unauthenticated, match="is not `Bearer`"):
        asyncio.run(authenticator_of(verifier).identify(f"Bearer {provider.token(x='x' * 9000)}"))
    assert provider.asked == {}
