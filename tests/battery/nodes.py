"""Real nodes for tests: processes of their own on loopback, each with its own folder, keys, TLS and database.

Nothing of a node is replaced. Tests speak to it as people (`lezha …`), tools (HTTP) and peers (TLS) do, and read its
database as an auditor would.
"""

import copy
import http.client
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from lezha.access import tokens as access_tokens
from lezha.access.rights import Role
from lezha.cli.node import keep_token, make
from lezha.federation import tls
from lezha.federation.document import Contact
from lezha.flows.witness import QUIET
from lezha.node.identity import ADMIN_TOKEN, new_member
from lezha.node.settings import Settings

LEZHA: Final = str(Path(sys.executable).with_name("lezha"))
_START_S: Final = 30
_NO_PROXY: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Answer(NamedTuple):
    """What a node answered over HTTP."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Read the body."""
        return json.loads(self.body)


class RunningNode:
    """One node. `log` is what it wrote to stderr over all its lives, `database` empty for SQLite.

    `front` is the port at which peers find it, if something stands in front of the one at which it listens.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        max_bundle_bytes: int = 64 << 20,
        database: str = "",
        *,
        reachable: bool = True,
        front: int = 0,
    ) -> None:
        self.name: Final = name
        self.database: Final = database
        self.home = folder / name
        self.log = folder / f"{name}.log"
        self.port, self.link_port = free_port(), free_port()
        self.options: tuple[str, ...] = ()
        self.url = f"http://127.0.0.1:{self.port}"
        self.member: Final = new_member()
        settings = Settings(
            member=self.member,
            name=name,
            listen=f"127.0.0.1:{self.port}",
            link_listen=f"127.0.0.1:{self.link_port}",
            endpoint=f"https://127.0.0.1:{front or self.link_port}" if reachable else "",
            max_bundle_bytes=max_bundle_bytes,
            database=database,
        )
        umask = os.umask(0o077)
        try:
            self.tls_root: Final = make(self.home, settings, name.title(), Contact()).known.document.tls_root
        finally:
            os.umask(umask)
        self.token: Final = (self.home / ADMIN_TOKEN).read_text().strip()
        self.process: subprocess.Popen[bytes] | None = None

    def desk(self, folder: Path) -> "RunningNode":
        """Return a process for people of this node, on a copy of its folder, as on another machine; not started."""
        made = copy.copy(self)
        made.process, made.port = None, free_port()
        made.url = f"http://127.0.0.1:{made.port}"
        made.home = folder / f"{self.name}-{made.port}"
        made.log = made.home.with_suffix(".log")
        made.options = ("--people-only", "--listen", f"127.0.0.1:{made.port}")
        shutil.copytree(self.home, made.home)
        return made

    def token_of(self, role: Role) -> str:
        """Make a token of a role; the node must not be running."""
        made = access_tokens.mint()
        keep_token(self.home, role.value, role, made)
        return made.text

    def spawn(self, *before: str, environment: Mapping[str, str] | None = None) -> None:
        """Start the process, as an argument of the command `before` if there is one."""
        with self.log.open("ab") as log:
            command = [*before, LEZHA, "serve", "--home", str(self.home), *self.options]
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )

    def ready(self) -> None:
        """Wait until it answers."""
        assert self.process is not None
        until(self._answers, _START_S, lambda: self.log.read_text(errors="replace")[-3000:])

    def start(self) -> None:
        """Start and wait until it answers."""
        self.spawn()
        self.ready()

    def kill(self) -> None:
        """Kill -9: the process can't do anything about it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self) -> int:
        """Ask it to stop, as a service manager does, and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=15)
        self.process = None
        return code

    @property
    def alive(self) -> bool:
        """True if the process runs and answers."""
        return (
            self.process is not None
            and self.process.poll() is None
            and self.call("GET", "/status").status == 200
        )

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        query: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        token: str | None = None,
    ) -> Answer:
        """Call /api/v1`path`, as its administrator unless a token is given (empty for none)."""
        url = f"{self.url}/api/v1{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        presented = self.token if token is None else token
        headers = {"Authorization": f"Bearer {presented}"} if presented else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(url, data=body, headers=headers, method=method)
        try:
            with _NO_PROXY.open(request, timeout=60) as reply:
                return Answer(reply.status, reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read())

    def get(self, path: str, **query: str) -> Any:
        """GET and return the JSON."""
        answer = self.call("GET", path, query=query)
        assert answer.status == 200, answer
        return answer.json()

    def post(self, path: str, data: object, **query: str) -> Any:
        """POST JSON (bytes as they are) and return the JSON."""
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        answer = self.call("POST", path, raw, query)
        assert answer.status == 200, answer
        return answer.json()

    def publish(self, raw: bytes, to: str, tlp: str = "amber") -> Any:
        """Publish a bundle and return what the node says of it."""
        return self.post("/publish", raw, tlp=tlp, to=to)

    def peer(self, other: "RunningNode") -> Any:
        """Return the report on a peer."""
        return next(one for one in self.get("/peers") if one["name"] == other.name)

    def rows(self, sql: str, *values: object) -> list[Any]:
        """Read the database, whether the node runs or not; `?` stands for a value."""
        if self.database:
            import psycopg

            with psycopg.connect(self.database.replace("+psycopg", ""), autocommit=True) as server:
                return server.execute(sql.replace("?", "%s").encode(), values).fetchall()
        with closing(sqlite3.connect(f"file:{self.home / 'lezha.db'}?mode=ro", uri=True, timeout=10)) as conn:
            return conn.execute(sql, values).fetchall()

    def count(self, table: str) -> int:
        """Count the rows of a table."""
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])

    def counts(self) -> dict[str, int]:
        """Count the rows of every table."""
        listed = "SELECT name FROM sqlite_master WHERE type = 'table'"
        if self.database:
            listed = "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"
        tables = self.rows(
            f"SELECT name FROM ({listed}) AS t WHERE substr(name, 1, 5) <> 'texts' AND name <> 'sequencer'"
        )
        return {name: self.count(name) for (name,) in tables}

    def written(self) -> dict[str, int]:
        """Count what people, tools and peers have brought here, without notes on who was told and shown."""
        notes = {
            "views", "cursors", "withheld", "receipts", "refusals", "events", "looks", "checkpoints", "incarnations",
        }  # fmt: skip
        counts = {table: count for table, count in self.counts().items() if table not in notes}
        noted = ("receipt", "released", "voided", "commitment", "settings", "incarnation", *QUIET)
        (told,) = self.rows(f"SELECT count(*) FROM events WHERE kind NOT IN {noted}")
        return counts | {"events": told[0]}

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of the log that tell `event`."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.startswith("{")]
        return [found for found in map(json.loads, lines) if found["event"] == event]

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text(errors="replace")
        try:
            return self.call("GET", "/status").status == 200
        except OSError:
            return False


@contextmanager
def running(
    folder: Path, *names: str, database: Callable[[], str] = lambda: ""
) -> Iterator[tuple[RunningNode, ...]]:
    """Run nodes that are peers of one another, and stop them whatever happens; `database` gives one to each."""
    nodes = tuple(RunningNode(folder, name, database=database()) for name in names)
    try:
        for node in nodes:
            node.spawn()
        for node in nodes:
            node.ready()
        for position, one in enumerate(nodes):
            for other in nodes[position + 1 :]:
                link(one, other)
        yield nodes
    finally:
        for node in nodes:
            if node.process is not None:
                node.kill()


def link(one: RunningNode, other: RunningNode) -> None:
    """Make two running nodes peers."""
    made = one.post("/peers/invite", {"name": other.name})
    there = other.post("/peers/accept", {"invitation": made["invitation"]})
    one.post("/peers/confirm", {"name": other.name, "phrase": there["phrase"]})
    other.post("/peers/confirm", {"name": one.name, "phrase": one_phrase(other, one)})


def one_phrase(node: RunningNode, peer: RunningNode) -> str:
    """Return the phrase of a pending peer."""
    return str(node.get(f"/peers/{peer.name}/phrase")["phrase"])


def lezha(*arguments: str | Path, timeout: float = 60, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `lezha` as people do and return how that went."""
    command = [LEZHA, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **options)


def until(true: Callable[[], bool], seconds: float, tell: Callable[[], object] = lambda: "") -> None:
    """Wait until something is true, and fail with what `tell` says if it does not come to be."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, tell()
        time.sleep(0.01)


def indicator(value: str, **more: object) -> bytes:
    """Return the bytes of an indicator for a domain."""
    at = "2026-01-05T08:00:00.000Z"
    data = {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{uuid.uuid4()}",
        "created": at,
        "modified": at,
        "name": value,
        "pattern": f"[domain-name:value = '{value}']",
        "pattern_type": "stix",
        "valid_from": at,
    }
    return json.dumps(data | more).encode()


def bundle(objects: Iterable[bytes]) -> bytes:
    """Return a bundle of objects, each byte for byte."""
    head = f'{{"type":"bundle","id":"bundle--{uuid.uuid4()}","objects":['
    return head.encode() + b",".join(objects) + b"]}"


def many(count: int, label: str) -> bytes:
    """Return a bundle of `count` indicators."""
    return bundle(indicator(f"{label}-{number}.example") for number in range(count))


FAILPOINTS: Final = Path(__file__).with_name("failpoints")


def failing(point: str, armed: Path | None = None) -> dict[str, str]:
    """Return the environment of a process that fails at a point (failpoints/sitecustomize.py) once `armed` is there."""
    import lezha

    path = f"{FAILPOINTS}:{Path(lezha.__file__).parents[1]}"
    return {"PYTHONPATH": path, "LEZHA_TEST_FAILPOINT": f"{point}:{armed or os.devnull}"}


class PeerAnswer(NamedTuple):
    """What came back over TLS: a status, or 0 if the connection was cut."""

    status: int
    body: bytes


def as_peer(
    node: RunningNode,
    leaf: Path | None,
    method: str,
    path: str,
    body: bytes | Iterable[bytes] | None = None,
) -> PeerAnswer:
    """Call the listener for peers over TLS, showing the certificate in `leaf` if there is one."""
    context = tls.client_context(leaf, node.tls_root)
    connection = http.client.HTTPConnection("127.0.0.1", node.link_port, timeout=20)
    with closing(connection):
        try:
            plain = socket.create_connection(("127.0.0.1", node.link_port), timeout=20)
            connection.sock = context.wrap_socket(plain, server_hostname=tls.server_name(node.member))
            connection.request(method, path, body)
            reply = connection.getresponse()
            return PeerAnswer(reply.status, reply.read())
        except (ssl.SSLError, ConnectionError, http.client.HTTPException):
            return PeerAnswer(0, b"")


def _ports() -> Iterator[int]:
    """Yield ports below those that the kernel gives away, each once, and none of another process of `-n`."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = list(range(20_000, 32_000))[worker % 8 :: 8]
    random.SystemRandom().shuffle(ports)
    return iter(ports)


_PORTS: Final = _ports()


def free_port() -> int:
    """Return a port that is free, was not returned before, and that the kernel gives to nobody else."""
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("This run of the tests has used all of its ports.")
