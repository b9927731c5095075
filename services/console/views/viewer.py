"""The person who looks at a page: who they are, what they may do, and why not. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.console.aggregation.responses import Delegation
from services.console.formatting import clock
from shared.access.caller import ANONYMOUS, Caller
from shared.access.installation_keys import LOCAL
from shared.access.scope import Scope

_ACTIONS: Final = {Scope.APPROVE: "approve or reject", Scope.OPERATE: "acknowledge", Scope.ADMIN: "roll back"}
ANONYMOUS_REASON: Final = "You are not logged in. Log in to act: `homeostat console` prints a link."


@dataclass(frozen=True)
class Viewer:
    """A caller, as the templates need it. `delegations`: by which they approve in the place of others now."""

    caller: Caller
    delegations: tuple[Delegation, ...] = ()

    @property
    def name(self) -> str:
        """The authenticated name."""
        return self.caller.name

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody is logged in."""
        return self.caller.name == ANONYMOUS.name

    @property
    def gives_name(self) -> bool:
        """Whether the page asks for a name: several people of this machine may share the local key."""
        return self.caller.name == LOCAL

    @property
    def scopes(self) -> str:
        """What the person may do, for the header of the page."""
        return ", ".join(scope for scope in Scope if scope in self.caller.scopes)

    def may(self, scope: Scope, model: str = "") -> bool:
        """Whether the buttons of a scope are enabled, for a model: a delegation may be about one model only."""
        if self.is_anonymous:
            return False
        return scope in self.caller.scopes or (
            scope is Scope.APPROVE and any(one.model in ("", model) for one in self.delegations)
        )

    @property
    def delegated(self) -> str:
        """In whose place they approve, for the header of the page; empty if they need nobody for that."""
        if Scope.APPROVE in self.caller.scopes:
            return ""
        return "; ".join(
            f"approves {one.model or 'all models'} for {one.delegator} until {clock(one.ends_at)}"
            for one in self.delegations
        )

    @property
    def restriction(self) -> str:
        """Why some buttons are disabled; empty if none is. Commands are quoted with backticks."""
        if self.is_anonymous:
            return ANONYMOUS_REASON
        missing = [scope for scope in _ACTIONS if scope not in self.caller.scopes]
        if self.delegations and Scope.APPROVE in missing:
            missing.remove(Scope.APPROVE)
        if not missing:
            return ""
        actions = ", ".join(_ACTIONS[scope] for scope in missing)
        scopes = "scope" if len(missing) == 1 else "scopes"
        return f"You cannot {actions}: {self.name} lacks the {scopes} {', '.join(missing)}."


NOBODY_LOGGED_IN: Final = Viewer(ANONYMOUS)
