"""Pages: escaped, complete, and with a policy that names only their own style sheet and script."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

import pytest
from jinja2 import UndefinedError

from shared.http.pages import content_security_policy, make_environment, shared_style


def digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


@pytest.mark.parametrize("package", ["services.console", "services.inference"])
def test_values_are_escaped_and_undefined_names_are_errors(package: str) -> None:
    environment = make_environment(package)
    html = environment.from_string('<p title="{{ value }}">{{ value }}</p>').render(value="\"><script>'")
    assert html == '<p title="&#34;&gt;&lt;script&gt;&#39;">&#34;&gt;&lt;script&gt;&#39;</p>'
    with pytest.raises(UndefinedError):
        environment.from_string("{{ missing }}").render()


def test_policy_allows_only_the_given_style_and_script() -> None:
    assert content_security_policy("a {}", script="b()") == (
        f"default-src 'none'; style-src {digest('a {}')}; script-src {digest('b()')}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    framing = content_security_policy("a {}", frames=True)
    assert "frame-src 'self'" in framing
    assert "script-src" not in framing


def test_shared_style_loads_nothing() -> None:
    assert "url(" not in shared_style()
    assert "@import" not in shared_style()
