"""Settings of services that accept tokens of an identity provider."""

from __future__ import annotations

from typing import Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import OperatorError


class OidcSettings(BaseSettings):
    """Read from the environment (`HOMEOSTAT_OIDC_…`)."""

    model_config = SettingsConfigDict(env_prefix="HOMEOSTAT_OIDC_", frozen=True, extra="ignore")

    issuer: str = Field(
        "",
        description="URL of an OpenID Connect provider whose access tokens are accepted, exactly as in their claim `iss`. "
        "Empty: API keys only.",
    )
    audience: str = Field(
        "",
        description="Audience that a token must have (`aud`). Must be set with an issuer.",
    )
    algorithms: str = Field(
        "RS256,PS256,ES256,EdDSA",
        description="Signature algorithms that are accepted, comma separated. `none`, and algorithms with a shared secret, are "
        "refused at start.",
    )
    clock_skew_seconds: float = Field(
        30.0,
        ge=0,
        le=300,
        description="Tolerance in seconds for the provider's clock when the times of a token are checked.",
    )
    outage_hours: float = Field(
        4.0,
        gt=0,
        le=48,
        description="Hours for which the last keys of the provider are used while it cannot be reached.",
    )
    name_claim: str = Field(
        "sub",
        description="Claim with the name that is recorded, as `oidc:<name>`. Choose one that people cannot change themselves.",
    )
    scope_prefix: str = Field(
        "",
        description="Prefix of our scopes in the claim `scope` (or `scp`), such as `homeostat:` for `homeostat:read`.",
    )
    roles_claim: str = Field(
        "",
        description="Claim with roles or groups, such as `groups` or `realm_access.roles`. Empty: scopes only.",
    )
    roles: str = Field(
        "",
        description="What the values of that claim mean, comma separated: `ml-team=operator,ml-leads=approver,sre=admin`. "
        "Roles are `viewer`, `operator`, `approver`, `client` and `admin`; a scope may stand in their place.",
    )

    @classmethod
    def read(cls) -> Self:
        """From the environment. Raises OperatorError that names the variable with a wrong value."""
        try:
            return cls()
        except ValidationError as error:
            first = error.errors()[0]
            variable = f"HOMEOSTAT_OIDC_{'_'.join(map(str, first['loc'])).upper()}"
            raise OperatorError(
                f"{variable}: {first['msg']}", hint="docs/configuration.md lists every setting and its values"
            ) from error
