"""Tokens: who they name and what they permit, and everything that is not accepted."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest

from shared.access.caller import Caller, Unauthenticated
from shared.access.oidc.settings import OidcSettings
from shared.access.oidc.token_verifier import OidcTokenVerifier
from shared.access.scope import Scope
from shared.errors import OperatorError
from tests.fakes.identity_provider import (
    AUDIENCE,
    IdentityProvider,
    new_key,
    public_jwk,
    rsa_key,
    running_provider,
)

ALL_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


def settings_of(provider: IdentityProvider, **changed: Any) -> OidcSettings:
    return OidcSettings(**{"issuer": provider.issuer, "audience": AUDIENCE, **changed})


def verifier_of(provider: IdentityProvider, **changed: Any) -> OidcTokenVerifier:
    made = OidcTokenVerifier.of(settings_of(provider, **changed))
    made.refresh()
    return made


def part(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def test_token_names_its_holder_and_scopes(provider: IdentityProvider) -> None:
    caller = verifier_of(provider).verify(provider.token(scope="openid read approve unknown"))
    assert caller == Caller("oidc:ada", frozenset({Scope.READ, Scope.APPROVE}))


@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
def test_allowed_algorithms(algorithm: str) -> None:
    with running_provider(algorithm) as provider:
        allowed = verifier_of(provider, algorithms=f"{algorithm}, ES256")
        assert allowed.verify(provider.token()).name == "oidc:ada"
        others = ",".join(other for other in ALL_ALGORITHMS if other != algorithm)
        with pytest.raises(Unauthenticated, match="algorithm of the token is not allowed"):
            verifier_of(provider, algorithms=others).verify(provider.token())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"exp": -90}, "has expired"),
        ({"exp": None}, "lacks a claim"),
        ({"exp": "soon"}, "is not valid"),
        ({"exp": float("inf")}, "is not valid"),
        ({"nbf": 90}, "is not valid yet"),
        ({"nbf": "later"}, "is not valid"),
        ({"iat": 90}, "is not valid yet"),
        ({"aud": "another"}, "for another audience"),
        ({"aud": ["another", "third"]}, "for another audience"),
        ({"aud": None}, "lacks a claim"),
        ({"aud": 7}, "for another audience"),
        ({"iss": "https://evil.example"}, "of another issuer"),
        ({"iss": None}, "lacks a claim"),
        ({"sub": None}, "lacks a claim"),
        ({"sub": 7}, "is not valid"),
        ({"sub": ""}, "claim sub of the token is no name"),
        ({"sub": "ada (admin)"}, "claim sub of the token is no name"),
        ({"sub": "a\nb"}, "claim sub of the token is no name"),
        ({"sub": "a" * 96}, "claim sub of the token is no name"),
    ],
)
def test_wrong_claims_are_refused(provider: IdentityProvider, changed: dict[str, Any], said: str) -> None:
    now = int(time.time())
    times: dict[str, Any] = {
        name: now + value if name in ("exp", "nbf", "iat") and type(value) is int else value
        for name, value in changed.items()
    }
    verifier = verifier_of(provider)
    # A token that leaves nothing out is accepted; iss None is left out by the fake, so is every None.
    assert verifier.verify(provider.token())
    with pytest.raises(Unauthenticated, match=said):
        verifier.verify(provider.token(**times))


@pytest.mark.parametrize("changed", [{"exp": -20}, {"nbf": 20}, {"iat": 20}, {"aud": ["other", AUDIENCE]}])
def test_clocks_may_differ_a_little(provider: IdentityProvider, changed: dict[str, Any]) -> None:
    now = int(time.time())
    times: dict[str, Any] = {
        name: now + value if isinstance(value, int) else value for name, value in changed.items()
    }
    assert verifier_of(provider).verify(provider.token(**times))
    if "aud" not in changed:
        with pytest.raises(Unauthenticated):
            verifier_of(provider, clock_skew_seconds=5).verify(provider.token(**times))


def test_unsigned_token_is_refused(provider: IdentityProvider) -> None:
    verifier = verifier_of(provider)
    for name in ("none", "None", "NONE", ""):
        header = {"alg": name, "typ": "JWT", "kid": provider.key_id}
        unsigned = f"{part(header)}.{part(provider.claims())}."
        for token in (unsigned, f"{unsigned}AA"):
            with pytest.raises(Unauthenticated):
                verifier.verify(token)


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_public_key_is_no_shared_secret(algorithm: str) -> None:
    """What everybody may know would otherwise sign tokens (algorithm confusion)."""
    import hmac

    with running_provider("RS256") as provider:
        verifier = verifier_of(provider)
        published = json.dumps(provider.keys[0]).encode()
        for secret in (provider.public_pem(), provider.public_pem().strip(), published, b""):
            signed = f"{part({'alg': algorithm, 'kid': provider.key_id})}.{part(provider.claims())}"
            mac = hmac.digest(secret, signed.encode(), algorithm.replace("HS", "sha"))
            token = f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
            with pytest.raises(Unauthenticated, match="algorithm of the token is not allowed"):
                verifier.verify(token)


def test_published_shared_secret_is_never_used(provider: IdentityProvider) -> None:
    secret = "s" * 64
    encoded = base64.urlsafe_b64encode(secret.encode()).decode()
    provider.keys.append({"kty": "oct", "k": encoded, "kid": "shared", "alg": "HS256"})
    verifier = verifier_of(provider)
    token = jwt.encode(provider.claims(), secret, "HS256", headers={"kid": "shared"})
    with pytest.raises(Unauthenticated, match="algorithm of the token is not allowed"):
        verifier.verify(token)


@pytest.mark.parametrize("name", ["none", "HS256", "RS256,HS256", "RS1", ""])
def test_setting_cannot_allow_weak_algorithms(provider: IdentityProvider, name: str) -> None:
    with pytest.raises(OperatorError, match="HOMEOSTAT_OIDC_ALGORITHMS"):
        OidcTokenVerifier.of(settings_of(provider, algorithms=name))


def test_signature_of_another_key_is_refused(provider: IdentityProvider) -> None:
    verifier = verifier_of(provider)
    forged = jwt.encode(provider.claims(), new_key("ES256"), "ES256", headers={"kid": provider.key_id})
    with pytest.raises(Unauthenticated, match="signature of the token is wrong"):
        verifier.verify(forged)
    head, claims, signature = provider.token().split(".")
    for token in (
        f"{head}.{part(provider.claims(scope='admin'))}.{signature}",
        f"{head}.{claims}.{signature[:-4]}AAAA",
    ):
        with pytest.raises(Unauthenticated):
            verifier.verify(token)


def test_key_in_the_token_is_not_used(provider: IdentityProvider) -> None:
    mine = new_key("ES256")
    verifier = verifier_of(provider)
    for headers in (
        {"jwk": public_jwk(mine, "ES256", "mine")},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
    ):
        forged = jwt.encode(provider.claims(), mine, "ES256", headers={"kid": provider.key_id, **headers})
        with pytest.raises(Unauthenticated, match="signature of the token is wrong"):
            verifier.verify(forged)


def test_key_is_used_for_its_own_algorithm_only() -> None:
    with running_provider("RS256") as provider:
        verifier = verifier_of(provider)  # PS256 is allowed, too
        forged = jwt.encode(provider.claims(), provider.private, "PS256", headers={"kid": provider.key_id})
        with pytest.raises(Unauthenticated, match="a key that the identity provider does not publish"):
            verifier.verify(forged)
        provider.keys[0].pop("alg")
        assert verifier_of(provider).verify(forged)


@pytest.mark.parametrize("changed", [{"use": "enc"}, {"kty": "EC"}, {"alg": "RSA-OAEP"}])
def test_key_for_other_uses_is_not_used(changed: dict[str, Any]) -> None:
    with running_provider("RS256") as provider:
        provider.keys[0].update(changed)
        with pytest.raises(Unauthenticated, match="a key that the identity provider does not publish"):
            verifier_of(provider).verify(provider.token())


def test_short_rsa_key_is_refused() -> None:
    with running_provider("RS256") as provider:
        provider.private = rsa_key(99, 1024)
        provider.keys = [public_jwk(provider.private, "RS256", provider.key_id)]
        with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
            token = provider.token()
        with pytest.raises(Unauthenticated, match="is not valid"):
            verifier_of(provider).verify(token)


def test_token_without_key_id_needs_a_single_key(provider: IdentityProvider) -> None:
    verifier = verifier_of(provider)
    without = jwt.encode(provider.claims(), provider.private, "ES256")
    assert verifier.verify(without)
    provider.rotate(keep=True)
    with pytest.raises(Unauthenticated, match="does not publish"):
        verifier_of(provider).verify(without)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"crit": ["exp"]}, "of a kind|neither an API key nor a token"),
        ({"typ": "logout+jwt"}, "of a kind"),
        ({"typ": "dpop+jwt"}, "of a kind"),
        ({"kid": 7}, "neither an API key nor a token|malformed"),
        ({"kid": ["x"]}, "neither an API key nor a token|malformed"),
    ],
)
def test_other_kinds_of_tokens_are_refused(
    provider: IdentityProvider, headers: dict[str, Any], said: str
) -> None:
    header = {"alg": "ES256", "typ": "JWT", "kid": provider.key_id, **headers}
    signed = f"{part(header)}.{part(provider.claims())}"
    token = f"{signed}.{'A' * 86}"
    with pytest.raises(Unauthenticated, match=said):
        verifier_of(provider).verify(token)


def test_access_tokens_may_say_so(provider: IdentityProvider) -> None:
    for name in ("at+jwt", "application/at+jwt", "JWT"):
        assert verifier_of(provider).verify(provider.token(headers={"typ": name}))


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        "a.b.c.d.e",
        f"{part({'alg': 'ES256'})}.{part([1])}.AA",
        f"{part([1])}.{part({})}.AA",
        f"{part({'alg': ['ES256']})}.{part({})}.AA",
        f"{part('ES256')}.{part({})}.AA",
        "é.é.é",
        " a.b.c",
        base64.urlsafe_b64encode(b"[" * 3000).decode().rstrip("=") + ".e30.AA",
        f"{part({'alg': 'ES256', 'kid': None})}."
        + base64.urlsafe_b64encode(b"[" * 3000).decode().rstrip("=")
        + ".AA",
    ],
)
def test_malformed_token_is_refused(provider: IdentityProvider, token: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier_of(provider).verify(token)


def test_deep_claims_with_a_right_signature_are_refused(provider: IdentityProvider) -> None:
    claims = b'{"a":' * 3000 + b"1" + b"}" * 3000
    token = jwt.api_jws.encode(claims, provider.private, "ES256", headers={"kid": provider.key_id})
    with pytest.raises(Unauthenticated, match="is not valid"):
        verifier_of(provider).verify(token)


def test_audience_has_to_be_set(provider: IdentityProvider) -> None:
    with pytest.raises(OperatorError, match="HOMEOSTAT_OIDC_AUDIENCE is not set"):
        OidcTokenVerifier.of(settings_of(provider, audience=""))


def test_name_is_that_of_the_configured_claim(provider: IdentityProvider) -> None:
    verifier = verifier_of(provider, name_claim="email")
    assert verifier.verify(provider.token(email="ada@example.org")).name == "oidc:ada@example.org"
    with pytest.raises(Unauthenticated, match="claim email of the token is no name"):
        verifier.verify(provider.token())


@pytest.mark.parametrize("name", ["local", "anonymous"])
def test_names_of_people_are_not_those_of_keys(provider: IdentityProvider, name: str) -> None:
    assert verifier_of(provider).verify(provider.token(sub=name)).name == f"oidc:{name}"


def test_refusal_does_not_repeat_the_token(provider: IdentityProvider) -> None:
    with pytest.raises(Unauthenticated) as refused:
        verifier_of(provider).verify(provider.token(iss="https://<script>", aud="<script>"))
    assert "<script>" not in str(refused.value)
