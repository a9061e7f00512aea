"""The set-ups of docs/operations.md with a real nginx in front of real nodes, on loopback.

Nothing of deploy/nginx-*.conf is replaced but ports, the name of the site, and where its certificate is.
"""

import datetime as dt
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec.structs import replace
from tests.battery.nodes import RunningNode, bundle, free_port, indicator, lezha, link, many, until
from tests.conftest import ROOT, need

from lezha.federation import tls
from lezha.node import settings as node_settings
from lezha.node.identity import new_member

DEPLOY: Final = ROOT / "deploy"
SITE: Final = "lezha.example.al"
CLIENT: Final = "127.0.0.7"

pytestmark = pytest.mark.needs("nginx")


def written(name: str, folder: Path, *changes: tuple[str, str]) -> Path:
    """Write a documented file with some of its words replaced, each of which must be there."""
    text = (DEPLOY / name).read_text()
    for before, after in changes:
        assert before in text, f"{name} does not say {before!r}"
        text = text.replace(before, after)
    path = folder / name
    path.write_text(text)
    return path


@contextmanager
def nginx(folder: Path, http_conf: Path | None, stream_conf: Path | None) -> Iterator[None]:
    """Run nginx with these files, as Debian's own nginx.conf reads them."""
    temporary = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    lines = [
        f"pid {folder}/nginx.pid;",
        f"error_log {folder}/error.log;",
        "user root;" if os.geteuid() == 0 else "",
        "worker_processes 1;",
        "daemon off;",
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;" if stream_conf else "",
        "events { worker_connections 64; }",
        f"include {stream_conf};" if stream_conf else "",
        f"http {{ access_log off; {temporary} include {http_conf}; }}" if http_conf else "",
    ]
    main = folder / "nginx.conf"
    main.write_text("\n".join(lines))
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    checked = subprocess.run(
        [program, "-t", "-c", main, "-p", folder], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr, checked.stderr
    process = subprocess.Popen([program, "-c", main, "-p", folder], stderr=subprocess.DEVNULL)
    try:
        until(lambda: (folder / "nginx.pid").is_file() or process.poll() is not None, 10)
        yield
    finally:
        process.terminate()
        assert process.wait(timeout=10) == 0


class Reply(NamedTuple):
    """A whole answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Site:
    """The site as a browser elsewhere sees it."""

    def __init__(self, node: RunningNode, port: int, plain_port: int, root: Path) -> None:
        self.node, self.port, self.plain_port = node, port, plain_port
        self._context = ssl.create_default_context(cafile=str(root))

    @contextmanager
    def open(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request from the client's address and give the answer as it comes."""
        conn = http.client.HTTPSConnection(
            SITE, self.port, timeout=90, context=self._context, source_address=(CLIENT, 0)
        )
        conn._create_connection = self._connect  # type: ignore[attr-defined]  # no name needs to be known in the DNS
        with closing(conn):
            conn.request(method, path, body, {"Host": f"{SITE}:{self.port}", **headers})
            with conn.getresponse() as reply:
                yield reply

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> Reply:
        """Send a request and return the whole answer."""
        with self.open(method, path, body, headers) as reply:
            return Reply(reply.status, reply.headers, reply.read())

    def _connect(self, address: tuple[str, int], timeout: float, source: Any) -> Any:
        return socket.create_connection(("127.0.0.1", address[1]), timeout, source)

    def api(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        """Call the API as its administrator."""
        given = {"Authorization": f"Bearer {self.node.token}", "Content-Type": "application/json"}
        reply = self.ask(method, f"/api/v1{path}", body, given | headers)
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    def cookie(self) -> str:
        """Sign in as the page does, and return what a browser keeps."""
        form = urllib.parse.urlencode({"token": self.node.token, "next": "/"}).encode()
        headers = {
            "Origin": f"https://{SITE}:{self.port}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        reply = self.ask("POST", "/sign-in", form, headers)
        assert reply.status == 303, reply.body
        return str(reply.headers["Set-Cookie"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site in front of a node, as documented."""
    need("nginx")
    folder = tmp_path_factory.mktemp("site")
    root = _certificate(folder)
    node = RunningNode(folder, "tirana")
    settings = node_settings.load(node.home)
    node_settings.write(node.home, replace(settings, proxies=("127.0.0.1",)))
    port, plain_port = free_port(), free_port()
    conf = written(
        "nginx-people.conf",
        folder,
        ("listen 443 ssl", f"listen {port} ssl"),
        ("listen 80;", f"listen {plain_port};"),
        ("127.0.0.1:8440;", f"127.0.0.1:{node.port};"),
        ("/etc/ssl/lezha/", f"{folder}/"),
    )
    node.start()
    try:
        with nginx(folder, conf, None):
            until(lambda: _answers(port), 10)
            yield Site(node, port, plain_port, root)
    finally:
        node.kill()


def test_pages_are_served_over_tls_to_who_signs_in_there(site: Site) -> None:
    cookie = site.cookie()
    assert "; Secure" in cookie
    page = site.ask("GET", "/", headers={"Cookie": cookie.partition(";")[0], "Accept": "text/html"})
    assert page.status == 200
    assert "Strict-Transport-Security" in page.headers
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "Tirana" in page.body.decode()


def test_another_site_can_not_sign_a_browser_in(site: Site) -> None:
    form = urllib.parse.urlencode({"token": site.node.token, "next": "/"}).encode()
    headers = {
        "Origin": "https://evil.example",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert site.ask("POST", "/sign-in", form, headers).status == 403


def test_live_pages_get_each_event_when_it_happens(site: Site) -> None:
    cookie = site.cookie().partition(";")[0]
    with site.open("GET", "/live?page=desk", headers={"Cookie": cookie}) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        beats = [line for line in _lines(stream, 4000) if line == b"event: beat\n"]
        assert len(beats) >= 2


def test_a_bundle_of_many_megabytes_goes_through(site: Site) -> None:
    raw = many(12_000, "proxied")
    assert len(raw) > 3 << 20
    done = site.api("POST", "/publish?tlp=clear&to=everyone", raw)
    assert len(done["taken"]) == 12_000


def test_an_export_goes_through_whole(site: Site) -> None:
    site.api("POST", "/publish?tlp=clear&to=everyone", bundle([indicator("exported.example")]))
    reply = site.ask("GET", "/api/v1/export", headers={"Authorization": f"Bearer {site.node.token}"})
    assert reply.status == 200
    assert b"exported.example" in reply.body


def test_the_command_line_works_through_it(site: Site, tmp_path: Path) -> None:
    cafile = str(Path(site.node.home).parent / "ca.pem")
    done = lezha(
        "peer", "list", "--json",
        "--url", f"https://localhost:{site.port}",
        "--token-file", site.node.home / "admin.token",
        env={**os.environ, "SSL_CERT_FILE": cafile},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_what_is_asked_is_written_down_with_the_address_of_who_asked(site: Site) -> None:
    site.api("POST", "/tokens", b'{"name": "who", "role": "analyst"}', **{"X-Forwarded-For": "203.0.113.9"})
    sources = {row[0] for row in site.node.rows("SELECT source FROM events WHERE kind = 'token'")}
    assert CLIENT in sources
    assert "203.0.113.9" not in sources


def test_nobody_reads_metrics_from_outside(site: Site) -> None:
    for path in ("/metrics", "/metrics/", "/metrics/x", "//metrics", "/%6detrics"):
        reply = site.ask("GET", path, headers={"Authorization": f"Bearer {site.node.token}"})
        assert (reply.status, b"lezha_" in reply.body) == (404, False), path


def test_plain_http_is_sent_to_tls(site: Site) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", site.plain_port, timeout=10)) as conn:
        conn.request("GET", "/objects?q=x", headers={"Host": SITE})
        reply = conn.getresponse()
        assert (reply.status, reply.headers["Location"]) == (308, f"https://{SITE}/objects?q=x")


def test_nodes_behind_it_are_linked_end_to_end(tmp_path: Path) -> None:
    tirana, podgorica = RunningNode(tmp_path, "tirana"), RunningNode(tmp_path, "podgorica")
    behind = free_port()
    settings = node_settings.load(podgorica.home)
    node_settings.write(podgorica.home, replace(settings, link_listen=f"127.0.0.1:{behind}"))
    conf = written(
        "nginx-peers.conf",
        tmp_path,
        ("listen 8441;", f"listen 127.0.0.1:{podgorica.link_port};"),
        ("127.0.0.1:18441", f"127.0.0.1:{behind}"),
    )
    try:
        tirana.start()
        podgorica.start()
        with nginx(tmp_path, None, conf):
            link(tirana, podgorica)
            raw = bundle([indicator("through.example")])
            assert tirana.call("POST", "/publish", raw, {"tlp": "amber", "to": "podgorica"}).status == 200
            until(lambda: podgorica.counts()["statements"] == 1, 30)
            leaf = tls.read_pair((podgorica.home / "keys" / "tls-leaf.pem").read_bytes()).certificate
            assert _shown(podgorica.link_port) == ssl.PEM_cert_to_DER_cert(leaf.decode())
    finally:
        for node in (tirana, podgorica):
            if node.process is not None:
                node.kill()


def _certificate(folder: Path) -> Path:
    """Write a certificate for the site and its key; return the file with the root that issued it."""
    now = dt.datetime.now(dt.UTC)
    issuer = tls.make_root(new_member(), now)
    issuer_key = serialization.load_pem_private_key(issuer.key, None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    root = x509.load_pem_x509_certificate(issuer.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(SITE), x509.DNSName("localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SITE)]))
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )
    (folder / "people.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "people.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    (folder / "ca.pem").write_bytes(issuer.certificate)
    return folder / "ca.pem"


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _lines(stream: http.client.HTTPResponse, most: int) -> Iterator[bytes]:
    """Read up to so many lines, or until two beats have come."""
    beats = 0
    for _ in range(most):
        line = stream.readline()
        yield line
        beats += line == b"event: beat\n"
        if beats == 2:
            return


def _shown(port: int) -> bytes:
    """Return the certificate that a listener shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain) as wrapped,
    ):
        found = wrapped.getpeercert(binary_form=True)
    assert found
    return found
