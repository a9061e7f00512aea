"""The listener for tools: TLS, a token or a certificate that is bound to one, and TAXII alone."""

import base64
import datetime as dt
import http.client
import ipaddress
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.battery.nodes import RunningNode, free_port, until

MEDIA = "application/taxii+json;version=2.1"
CERTIFICATE = "taxii.pem"


def pem(folder: Path, name: str) -> Path:
    """Make a self-signed certificate with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


def certificate_of(path: Path) -> str:
    """The certificate alone."""
    return path.read_text().partition("-----BEGIN PRIVATE KEY-----")[0]


def listen_at(node: RunningNode, port: int) -> None:
    """Set where tools find the node."""
    path = node.home / "lezha.toml"
    path.write_text(path.read_text().replace('taxii_listen = ""', f'taxii_listen = "127.0.0.1:{port}"'))


class Tools(NamedTuple):
    """A node with a listener for tools, and a token of an own system called opencti."""

    node: RunningNode
    port: int
    folder: Path
    token: str

    def ask(
        self, path: str, shown: Path | None = None, token: str = "", name: str = "opencti"
    ) -> tuple[int, str]:
        """Ask over TLS, showing a certificate or a token."""
        context = ssl.create_default_context(cafile=str(self.node.home / CERTIFICATE))
        if shown:
            context.load_cert_chain(shown)
        headers = {"Accept": MEDIA}
        if token:
            headers["Authorization"] = f"Basic {base64.b64encode(f'{name}:{token}'.encode()).decode()}"
        conn = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=20)
        try:
            conn.request("GET", path, headers=headers)
            with conn.getresponse() as answer:
                return answer.status, answer.read().decode()
        finally:
            conn.close()

    def bind(self, name: str, path: Path) -> None:
        """Bind a certificate to a token, and wait until the listener knows it."""
        self.node.post("/tokens/certificate", {"name": name, "pem": certificate_of(path)})

        def is_known() -> bool:
            try:
                return self.ask("/taxii2/", path)[0] == 200
            except (ssl.SSLError, OSError):
                return False

        until(is_known, 20)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    folder = tmp_path_factory.mktemp("tools")
    node = RunningNode(folder, "tirana")
    port = free_port()
    pem(node.home, "taxii")
    listen_at(node, port)
    try:
        node.start()
        made = node.post("/tokens", {"name": "opencti", "role": "system", "clearance": "amber"})
        yield Tools(node, port, folder, made["token"])
    finally:
        node.kill()


def test_a_token_is_enough_over_tls(tools: Tools) -> None:
    assert tools.ask("/taxii2/node/collections/all/objects/", token=tools.token) == (200, "{}")
    assert tools.ask("/taxii2/", token="lzh_0_0")[0] == 401
    assert tools.ask("/taxii2/", token=tools.token, name="misp")[0] == 401
    assert tools.ask("/taxii2/")[0] == 401


def test_addresses_of_its_own_are_those_of_tls(tools: Tools) -> None:
    told = json.loads(tools.ask("/taxii2/", token=tools.token)[1])
    assert told["default"] == f"https://127.0.0.1:{tools.port}/taxii2/node/"


@pytest.mark.parametrize(
    "path", ["/", "/sign-in", "/api/v1/status", "/metrics", "/api/openapi.json", "/static/lezha.css"]
)
def test_there_is_nothing_else_at_this_listener(tools: Tools, path: str) -> None:
    assert tools.ask(path, token=tools.token)[0] == 404


def test_a_certificate_that_is_bound_to_a_token_is_as_good_from_then_on(tools: Tools) -> None:
    shown = pem(tools.folder, "opencti")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        tools.ask("/taxii2/", shown)
    tools.bind("opencti", shown)
    assert tools.ask("/taxii2/node/collections/all/objects/", shown) == (200, "{}")


def test_a_certificate_ends_with_its_token(tools: Tools) -> None:
    shown = pem(tools.folder, "splunk")
    tools.node.post("/tokens", {"name": "splunk", "role": "system", "clearance": "green"})
    tools.bind("splunk", shown)
    tools.node.post("/tokens/revoke", {"name": "splunk"})
    assert tools.ask("/taxii2/", shown)[0] == 401


def test_what_is_issued_by_a_certificate_that_is_bound_is_not_bound(tools: Tools) -> None:
    """Only the certificate itself counts, whatever it may have signed."""
    parent = pem(tools.folder, "parent")
    tools.node.post("/tokens", {"name": "parent", "role": "system", "clearance": "green"})
    tools.bind("parent", parent)
    issuer = x509.load_pem_x509_certificate(parent.read_bytes())
    issuer_key = serialization.load_pem_private_key(parent.read_bytes(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    child = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "child")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(issuer.not_valid_before_utc)
        .not_valid_after(issuer.not_valid_after_utc)
        .sign(issuer_key, hashes.SHA256())
    )
    path = tools.folder / "child.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(child.public_bytes(serialization.Encoding.PEM) + secret)
    try:
        status, _ = tools.ask("/taxii2/", path)
    except (ssl.SSLError, ConnectionError):
        return  # OpenSSL refused it
    assert status == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"name": "opencti", "pem": "no certificate"}, 422, id="no certificate"),
        pytest.param({"name": "nobody", "pem": ""}, 422, id="empty"),
        pytest.param({"name": "opencti"}, 400, id="none at all"),
    ],
)
def test_what_is_no_certificate_is_refused(tools: Tools, body: dict[str, str], status: int) -> None:
    assert tools.node.call("POST", "/tokens/certificate", json.dumps(body).encode()).status == status


def test_a_certificate_is_bound_once_and_to_a_token_that_is_there(tools: Tools) -> None:
    shown = pem(tools.folder, "twice")
    body = {"name": "opencti", "pem": certificate_of(shown)}
    assert (
        tools.node.call("POST", "/tokens/certificate", json.dumps(body | {"name": "no-one"}).encode()).status
        == 404
    )
    assert tools.node.call("POST", "/tokens/certificate", json.dumps(body).encode()).status == 200
    assert tools.node.call("POST", "/tokens/certificate", json.dumps(body).encode()).status == 409


def test_without_a_certificate_of_its_own_the_node_says_what_to_do(tmp_path: Path) -> None:
    node = RunningNode(tmp_path, "tirana")
    listen_at(node, free_port())
    try:
        node.spawn()
        assert node.process is not None
        assert node.process.wait(30) == 1
    finally:
        node.kill()
    assert "taxii_listen needs a certificate with its key" in node.log.read_text()
