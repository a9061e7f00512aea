"""Real nodes on loopback, each with an event loop in a thread of its own, and a real browser."""

import asyncio
import contextlib
import json
import threading
import urllib.parse
import warnings
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from litestar.exceptions import LitestarDeprecationWarning
from tests.battery.nodes import free_port

from lezha.access import tokens
from lezha.access.rights import Role
from lezha.cli.node import keep_token, make
from lezha.federation.document import Contact
from lezha.node.identity import ADMIN_TOKEN, new_member
from lezha.node.node import Node
from lezha.node.settings import Settings
from lezha.stix import timestamps
from lezha.store import disputes
from lezha.store.log import Log
from lezha.web import entrance, peers, people, serve

_START_S = 20
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class Answer(NamedTuple):
    """An answer over HTTP, whole."""

    status: int
    headers: HTTPMessage
    text: str


class Served:
    """A node that serves until `stop`. `admin` and `sensor` are tokens."""

    def __init__(self, home: Path, title: str) -> None:
        self.name = title.lower()
        self.home = home
        self.link, self.listen = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.url = f"http://{self.listen}"
        settings = Settings(
            member=new_member(),
            name=self.name,
            listen=self.listen,
            link_listen=self.link,
            endpoint=f"https://{self.link}",
        )
        self.member = settings.member
        make(home, settings, title, Contact(f"+355 4 000 {len(title)}", f"duty@{self.name}.example"))
        self.admin = (home / ADMIN_TOKEN).read_text().strip()
        self.sensor = self.token("zeek", Role.SENSOR)
        self.log: Log | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.start()

    def start(self) -> None:
        """Serve, again after a `stop`."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name=self.name)
        self._thread.start()
        self._answering()

    def token(self, name: str, role: Role) -> str:
        """Make a token while the node does not run yet."""
        made = tokens.mint()
        keep_token(self.home, name, role, made)
        return made.text

    def stop(self) -> None:
        """Stop the node; a second time does nothing."""
        if self._thread.is_alive():
            assert self._loop
            assert self._stop
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(20)

    def call(self, method: str, path: str, body: bytes | dict[str, Any] | None = None) -> Any:
        """Call the API as the administrator."""
        raw = json.dumps(body).encode() if isinstance(body, dict) else body
        headers = {"Authorization": f"Bearer {self.admin}", "Content-Type": "application/json"}
        answer = self.ask(f"/api/v1{path}", method=method, body=raw, headers=headers)
        assert answer.status == 200, answer.text
        return json.loads(answer.text)

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request and follow no redirect."""
        with self.open(path, method=method, body=body, headers=headers) as answer:
            return Answer(answer.status, answer.headers, answer.read().decode())

    @contextlib.contextmanager
    def open(
        self,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Iterator[HTTPResponse]:
        """Send one request and give the answer as it comes."""
        conn = HTTPConnection(self.listen, timeout=20)
        try:
            conn.request(method, path, body, {"Accept": "text/html", **(headers or {})})
            with conn.getresponse() as answer:
                yield answer
        finally:
            conn.close()

    def sign_in(self, token: str, **more: str) -> Answer:
        """Send the sign-in form as the page itself would."""
        form = {"token": token, "next": "/"}
        plain = {"Origin": self.url, "Content-Type": "application/x-www-form-urlencoded"}
        headers = plain | {name.replace("_", "-"): value for name, value in more.items()}
        body = urllib.parse.urlencode(form).encode()
        return self.ask("/sign-in", method="POST", body=body, headers=headers)

    def cookie(self, token: str = "") -> str:
        """Sign in and return the cookie, as a browser sends it back."""
        return str(self.sign_in(token or self.admin).headers["Set-Cookie"]).partition(";")[0]

    def page(self, path: str) -> str:
        """Return a page as someone who is signed in sees it."""
        answer = self.ask(path, headers={"Cookie": self.cookie()})
        assert answer.status == 200, answer.text
        return answer.text

    def dispute(self, one: dict[str, Any]) -> None:
        """Put an object of this node's into dispute, as if its creator had signed other contents as this version."""
        assert self.log
        version = timestamps.normalise(one["modified"])
        self.log.write_now(lambda tx: disputes.begin(tx, [(one["id"], version, one["created_by_ref"])]))

    def purge(self, one: dict[str, Any], why: str) -> None:
        """Purge an object."""
        self.call("POST", "/store/purge", {"ids": [one["id"]], "why": why})

    def publish(self, *objects: dict[str, Any], tlp: str = "clear", to: str = "everyone") -> None:
        """Publish objects."""
        bundle = {"type": "bundle", "id": f"bundle--{uuid4()}", "objects": list(objects)}
        done = self.call("POST", f"/publish?tlp={tlp}&to={to}&strict=true", bundle)
        assert len(done["taken"]) == len(objects)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        node = Node(self.home)
        self.log = node.log
        with warnings.catch_warnings():
            # Some routes still let Litestar infer what a parameter is; version 3 wants it said.
            warnings.simplefilter("ignore", LitestarDeprecationWarning)
            for_people, for_peers = people.app(node), peers.app(node)
        loops = asyncio.create_task(node.run())
        host, port = self.listen.split(":")
        link_host, link_port = self.link.split(":")
        try:
            await serve.until(
                self._stop,
                serve.people_server(for_people, host, int(port)),
                entrance.peers_server(
                    for_peers,
                    link_host,
                    int(link_port),
                    node.link_tls,
                    node.door,
                    lambda der: peers.named_in(der, node.log),
                ),
            )
        finally:
            loops.cancel()
            await asyncio.gather(loops, return_exceptions=True)
            node.close()

    def _answering(self) -> None:
        for _ in range(_START_S * 20):
            with contextlib.suppress(ConnectionError):
                self.ask("/sign-in")
                return
            assert self._thread.is_alive()
            threading.Event().wait(0.05)
        raise AssertionError("the node did not start")


def link(one: Served, other: Served) -> None:
    """Introduce two nodes to each other."""
    made = one.call("POST", "/peers/invite", {"name": other.name})
    here = other.call("POST", "/peers/accept", {"invitation": made["invitation"], "name": one.name})
    one.call("POST", "/peers/confirm", {"name": other.name, "phrase": here["phrase"]})
    other.call("POST", "/peers/confirm", {"name": one.name, "phrase": here["phrase"]})


def indicator(value: str = "192.0.2.7", name: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a STIX indicator of an address."""
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{uuid4()}",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "name": value if name is None else name,
        "pattern": f"[ipv4-addr:value = '{value}']",
        "pattern_type": "stix",
        "valid_from": "2026-01-01T00:00:00Z",
        "labels": ["exercise"],
        **more,
    }


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Served]]:
    """Return what makes a running node; all are stopped at the end of the module."""
    made: list[Served] = []

    def serve_one(title: str) -> Served:
        made.append(Served(tmp_path_factory.mktemp("node") / title.lower(), title))
        return made[-1]

    yield serve_one
    for one in made:
        one.stop()


@pytest.fixture(scope="module")
def tirana(served: Callable[[str], Served]) -> Served:
    """Return a node that is linked to nobody."""
    return served("Tirana")
