"""What the holder of a token may do: its scopes by name, and its roles by a mapping. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.access.scope import Scope, parse_scopes
from shared.errors import InvalidRequest, OperatorError


@dataclass(frozen=True)
class Grants:
    """`scope_prefix` is that of our scopes; `roles` are the scopes by value of the claim `roles_claim` (a path with dots)."""

    scope_prefix: str = ""
    roles_claim: str = ""
    roles: Mapping[str, frozenset[Scope]] | None = None

    @classmethod
    def of(cls, scope_prefix: str, roles_claim: str, roles: str) -> Grants:
        """From the settings. Raises OperatorError for a role that does not exist."""
        mapping: dict[str, frozenset[Scope]] = {}
        for entry in filter(None, (part.strip() for part in roles.split(","))):
            value, _, role = (part.strip() for part in entry.rpartition("="))
            try:
                mapping[value] = mapping.get(value, frozenset()) | parse_scopes([role])
            except InvalidRequest as error:
                raise OperatorError(
                    f"HOMEOSTAT_OIDC_ROLES: {error.message}", hint=f"expected {error.expected}"
                ) from error
            if not value:
                raise OperatorError(
                    f"HOMEOSTAT_OIDC_ROLES: {entry!r} has no value",
                    hint="write `value=role`, comma separated",
                )
        if bool(mapping) != bool(roles_claim):
            raise OperatorError(
                "HOMEOSTAT_OIDC_ROLES and HOMEOSTAT_OIDC_ROLES_CLAIM belong together",
                hint="set both, or neither",
            )
        return cls(scope_prefix, roles_claim, mapping)

    def scopes_of(self, claims: Mapping[str, Any]) -> frozenset[Scope]:
        """The scopes of a token. Names that mean nothing here are left out."""
        return self._by_scope(claims) | self._by_role(claims)

    def _by_scope(self, claims: Mapping[str, Any]) -> frozenset[Scope]:
        known = {f"{self.scope_prefix}{scope}": scope for scope in Scope}
        names = {*_names(claims.get("scope")), *_names(claims.get("scp"))}
        return frozenset(known[name] for name in names if name in known)

    def _by_role(self, claims: Mapping[str, Any]) -> frozenset[Scope]:
        # A name with dots may itself be a claim: `https://example.org/roles`.
        found: Any = claims.get(self.roles_claim) if self.roles_claim else None
        if found is None and self.roles_claim:
            found = claims
            for step in self.roles_claim.split("."):
                found = found.get(step) if isinstance(found, Mapping) else None
        values = [found] if isinstance(found, str) else found
        granted: frozenset[Scope] = frozenset()
        for value in values if isinstance(values, list) else []:
            if isinstance(value, str):
                granted |= (self.roles or {}).get(value, frozenset())
        return granted


def _names(claim: object) -> list[str]:
    if isinstance(claim, str):
        return claim.split()
    return [name for name in claim if isinstance(name, str)] if isinstance(claim, list) else []
