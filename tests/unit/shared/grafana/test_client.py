"""What the client makes of a Grafana that is away, slow, lying, or not one at all."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.errors import HomeostatError, OperatorError
from shared.grafana import session as session_module
from shared.grafana.access import GrafanaAccess
from shared.grafana.client import GrafanaClient
from shared.grafana.interface import (
    Annotation,
    Folder,
    GrafanaOutcomeUnknown,
    GrafanaUnauthorized,
    GrafanaUnavailable,
)
from tests.fakes.grafana_server import TOKEN, FakeGrafana, Trouble, answers, grafana, page
from tests.waiting import bound

MARK = Annotation("drift", ("homeostat",), datetime(2026, 11, 21, tzinfo=UTC))


@pytest.fixture
def server() -> Iterator[FakeGrafana]:
    with grafana() as made:
        yield made


@pytest.fixture
def client(server: FakeGrafana) -> GrafanaClient:
    return GrafanaClient(GrafanaAccess(server.url, token=TOKEN), timeout_s=2.0, deadline_s=3.0)


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_unreachable_address_is_unavailable() -> None:
    client = GrafanaClient(GrafanaAccess(f"http://127.0.0.1:{closed_port()}", token=TOKEN))
    with pytest.raises(GrafanaUnavailable, match="no connection"):
        client.add_annotation(MARK)


def test_unknown_host_name_is_unavailable() -> None:
    client = GrafanaClient(GrafanaAccess("http://grafana.invalid", token=TOKEN), timeout_s=5)
    client._session.trust_env = False
    with pytest.raises(GrafanaUnavailable, match="no connection"):
        client.health()


def test_a_grafana_that_hangs_is_given_up(server: FakeGrafana, client: GrafanaClient) -> None:
    server.always = Trouble("hang")
    start = time.monotonic()
    with pytest.raises(GrafanaOutcomeUnknown, match="no response before the timeout"):
        client.add_annotation(MARK)
    assert time.monotonic() - start < bound(5)


def test_an_answer_that_never_ends_is_given_up(server: FakeGrafana, client: GrafanaClient) -> None:
    """Every byte comes in time; only a bound on the whole call ends it."""
    server.always = Trouble("trickle")
    start = time.monotonic()
    with pytest.raises(GrafanaOutcomeUnknown, match="within 3 s"):
        client.health()
    assert time.monotonic() - start < bound(8)
    with pytest.raises(GrafanaUnavailable, match="earlier"):
        client.health()
    assert time.monotonic() - start < bound(8)


def test_a_connection_that_breaks_leaves_it_open_what_happened(
    server: FakeGrafana, client: GrafanaClient
) -> None:
    server.always = Trouble("close")
    with pytest.raises(GrafanaOutcomeUnknown, match="connection was closed"):
        client.add_annotation(MARK)


@pytest.mark.parametrize("status", [429, 503])
def test_too_busy_means_nothing_happened(server: FakeGrafana, client: GrafanaClient, status: int) -> None:
    for trouble in (answers(status, "later"), page(status)):
        server.always = trouble
        with pytest.raises(GrafanaUnavailable, match=str(status)):
            client.add_annotation(MARK)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_fault_leaves_it_open_what_happened(
    server: FakeGrafana, client: GrafanaClient, status: int
) -> None:
    for trouble in (answers(status, "oh"), page(status)):
        server.always = trouble
        with pytest.raises(GrafanaOutcomeUnknown, match=str(status)):
            client.add_annotation(MARK)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404])
def test_a_page_of_a_proxy_is_no_grafana(server: FakeGrafana, client: GrafanaClient, status: int) -> None:
    server.always = page(status)
    with pytest.raises(OperatorError, match="is not Grafana") as error:
        client.find_folder("homeostat")
    assert "HOMEOSTAT_GRAFANA_URL" in error.value.hint


@pytest.mark.parametrize(
    "body", [b"null", b"3", b'"message"', b'["message"]', b'{"message": null}', b'{"message": 7}']
)
def test_no_json_of_an_error_breaks_the_client(
    server: FakeGrafana, client: GrafanaClient, body: bytes
) -> None:
    server.always = Trouble("answer", 400, body)
    with pytest.raises(HomeostatError):
        client.find_folder("homeostat")


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"dashboard": 3, "meta": {}}', b"[3]"])
def test_json_of_another_form_is_no_grafana(server: FakeGrafana, client: GrafanaClient, body: bytes) -> None:
    server.always = Trouble("answer", 200, body)
    with pytest.raises(OperatorError, match="http://127"):
        client.find_board("homeostat-loop")
    with pytest.raises(OperatorError, match="http://127"):
        client.health()


def test_an_empty_answer_is_an_answer(server: FakeGrafana, client: GrafanaClient) -> None:
    server.always = Trouble("answer", 204, carried_out=True)
    client.add_annotation(MARK)
    assert [one["text"] for one in server.annotations] == ["drift"]


def test_a_redirect_is_not_followed_and_gets_no_token(server: FakeGrafana, client: GrafanaClient) -> None:
    with grafana() as other:
        server.always = Trouble("answer", 302, headers=(("Location", f"{other.url}/login?token=x"),))
        with pytest.raises(OperatorError, match=f"redirects to {other.url}/login") as error:
            client.add_annotation(MARK)
        assert "token=x" not in str(error.value)
        assert other.requests == []
        server.always = Trouble("answer", 307, headers=(("Location", "/login"),))
        with pytest.raises(OperatorError, match="redirects to /login"):
            client.health()
        assert len(server.requests) == 2


def test_a_server_that_repeats_our_login_does_not_get_it_into_a_message(
    server: FakeGrafana, client: GrafanaClient
) -> None:
    for status in (400, 401, 403, 409, 500):
        server.always = answers(status, f"you sent {TOKEN}\nand more")
        with pytest.raises(HomeostatError) as error:
            client.add_annotation(MARK)
        assert TOKEN not in str(error.value)
        assert "you sent *** and more" in str(error.value)


def test_a_message_without_end_is_cut(server: FakeGrafana, client: GrafanaClient) -> None:
    server.always = answers(400, "x" * 100_000)
    with pytest.raises(HomeostatError) as error:
        client.health()
    assert len(str(error.value)) < 500


def test_an_answer_too_large_is_refused(
    server: FakeGrafana, client: GrafanaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "MAX_RESPONSE_BYTES", 1 << 20)
    server.always = Trouble("answer", 200, b'{"database": "' + b"x" * (1 << 21) + b'"}')
    with pytest.raises(OperatorError, match="more than 1 MiB"):
        client.health()


def test_a_grafana_below_a_path(server: FakeGrafana) -> None:
    with grafana(prefix="/tools/grafana") as below:
        client = GrafanaClient(GrafanaAccess(f"{below.url}/", token=TOKEN))
        assert client.check_login().organization == "Main Org."
        assert below.requests[0].path == "/api/org"


def test_a_uid_is_one_segment_of_the_path(server: FakeGrafana, client: GrafanaClient) -> None:
    assert client.find_data_source("../../admin?x=1") is None
    assert server.requests[0].path == "/api/datasources/uid/..%2F..%2Fadmin%3Fx%3D1"
    assert client.find_folder("a/b") is None
    assert server.requests[1].path == "/api/folders/a%2Fb"


def test_a_restarted_grafana_is_found_again(server: FakeGrafana, client: GrafanaClient) -> None:
    """The kept connection died with the old process."""
    client.create_folder(Folder("homeostat", "Homeostat"))
    server.troubles.append(Trouble("close"))
    with pytest.raises(GrafanaOutcomeUnknown):
        client.health()
    assert client.health().database == "ok"


def test_no_proxy_stands_between_us_and_our_own_machine(
    server: FakeGrafana, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert GrafanaClient(GrafanaAccess(server.url, token=TOKEN)).check_login().organization_id == 1
    elsewhere = GrafanaClient(GrafanaAccess("http://grafana.invalid", token=TOKEN))
    with pytest.raises(GrafanaUnavailable, match="proxy"):
        elsewhere.health()


def test_a_login_in_netrc_is_not_used(
    server: FakeGrafana, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(GrafanaUnauthorized):
        GrafanaClient(GrafanaAccess(server.url, token="glsa_wrong")).check_login()
    assert server.requests[0].authorization == "Bearer glsa_wrong"


def self_signed(folder: Path) -> ssl.SSLContext:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "grafana.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_untrusted_certificate_gets_no_token(tmp_path: Path) -> None:
    with grafana(tls=self_signed(tmp_path)) as server:
        with pytest.raises(OperatorError, match="certificate") as error:
            GrafanaClient(GrafanaAccess(server.url, token=TOKEN)).check_login()
        assert "REQUESTS_CA_BUNDLE" in error.value.hint
        assert server.requests == []
