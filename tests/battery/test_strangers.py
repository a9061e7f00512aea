"""Who shows the wrong certificate gets nothing, learns nothing and leaves a line in the log; and keeps no peer out."""

import datetime as dt
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest
from tests.battery.nodes import PeerAnswer, RunningNode, as_peer, bundle, indicator, running, until
from tests.federation.keys import MALLORY, PODGORICA, Party

from lezha.federation import enrolment, frame, tls
from lezha.federation.enrolment import Commit, Offer, Reveal
from lezha.federation.frame import Batch
from lezha.federation.tls import Pair
from lezha.node.identity import new_member

FRAMES = "/link/v1/frames"
GREETING = frame.encode(Batch(frame.PROTOCOL, "5a" * 16, "2026-01-05T08:00:00.000000Z"))


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningNode, RunningNode, RunningNode]]:
    with running(tmp_path_factory.mktemp("strangers"), "tirana", "podgorica", "skopje") as (
        node,
        peer,
        other,
    ):
        # Its peers' keys and certificates are used by the tests themselves.
        for one in (peer, other):
            one.stop()
        yield node, peer, other


def root_of(node: RunningNode) -> Pair:
    pem = (node.home / "keys" / "tls-root.pem").read_bytes()
    certificate, key = pem.split(b"-----BEGIN PRIVATE KEY-----")
    return Pair(certificate, b"-----BEGIN PRIVATE KEY-----" + key)


def leaf(folder: Path, root: Pair, member: str, age: dt.timedelta = dt.timedelta(0)) -> Path:
    made = tls.make_leaf(root, member, dt.datetime.now(dt.UTC) - age)
    path = folder / "leaf.pem"
    path.write_bytes(made.certificate + made.key)
    return path


def assert_refused_and_reported(node: RunningNode, show: Path | None, reason: str) -> None:
    before, told = node.written(), len(node.logged("peer.refused"))
    answer = as_peer(node, show, "POST", FRAMES, GREETING)
    assert answer.status in (0, 403), answer
    until(lambda: len(node.logged("peer.refused")) > told, 5, lambda: node.log.read_text()[-2000:])
    assert reason in str(node.logged("peer.refused")[-1])
    assert node.written() == before
    assert node.alive


def test_an_enrolled_peers_own_certificate_is_taken(
    nodes: tuple[RunningNode, RunningNode, RunningNode],
) -> None:
    node, peer, _ = nodes
    assert as_peer(node, peer.home / "keys" / "tls-leaf.pem", "POST", FRAMES, GREETING).status == 200


def test_a_certificate_of_a_self_made_root_is_refused(
    nodes: tuple[RunningNode, RunningNode, RunningNode], tmp_path: Path
) -> None:
    node, peer, _ = nodes
    forged = tls.make_root(peer.member, dt.datetime.now(dt.UTC))
    assert_refused_and_reported(node, leaf(tmp_path, forged, peer.member), "wrong certificate")


def test_a_stranger_with_a_root_of_its_own_is_refused(
    nodes: tuple[RunningNode, RunningNode, RunningNode], tmp_path: Path
) -> None:
    node, *_ = nodes
    member = new_member()
    root = tls.make_root(member, dt.datetime.now(dt.UTC))
    assert_refused_and_reported(node, leaf(tmp_path, root, member), "wrong certificate")


def test_a_peer_cannot_show_a_certificate_in_the_name_of_another_peer(
    nodes: tuple[RunningNode, RunningNode, RunningNode], tmp_path: Path
) -> None:
    node, peer, other = nodes
    assert_refused_and_reported(
        node, leaf(tmp_path, root_of(peer), other.member), "not issued by the TLS root"
    )


def test_a_peer_cannot_show_a_certificate_in_the_name_of_a_stranger(
    nodes: tuple[RunningNode, RunningNode, RunningNode], tmp_path: Path
) -> None:
    node, peer, _ = nodes
    assert_refused_and_reported(node, leaf(tmp_path, root_of(peer), new_member()), "There is no peer")


def test_a_certificate_that_has_expired_is_refused(
    nodes: tuple[RunningNode, RunningNode, RunningNode], tmp_path: Path
) -> None:
    node, peer, _ = nodes
    old = leaf(tmp_path, root_of(peer), peer.member, age=dt.timedelta(days=100))
    assert_refused_and_reported(node, old, "expired")


def test_a_client_without_a_certificate_is_refused(
    nodes: tuple[RunningNode, RunningNode, RunningNode],
) -> None:
    node, *_ = nodes
    assert_refused_and_reported(node, None, "no certificate of a member")


def test_others_learn_nothing_about_who_is_a_peer_here(
    nodes: tuple[RunningNode, RunningNode, RunningNode], tmp_path: Path
) -> None:
    node, peer, other = nodes

    def shown(member: str) -> PeerAnswer:
        return as_peer(node, leaf(tmp_path, root_of(peer), member), "POST", FRAMES, GREETING)

    assert shown(other.member) == shown(new_member())


def test_whoever_holds_an_invitation_reads_no_peers_name_in_a_refusal(
    nodes: tuple[RunningNode, RunningNode, RunningNode],
) -> None:
    """Two were invited under one name; who comes second reads that it did not work, and the node's log says why."""
    node, *_ = nodes
    offers = [
        enrolment.read_offer(node.post("/peers/invite", {"name": name})["invitation"])
        for name in ("vlora", "Vlora")
    ]

    def reveal(offer: Offer, party: Party) -> PeerAnswer:
        raw, nonce = party.document(), "01" * 32
        said = Commit(offer.id, offer.secret, enrolment.commitment(nonce, raw))
        as_peer(node, None, "POST", "/link/v1/enrol/commit", msgspec.json.encode(said))
        shown = Reveal(offer.id, offer.secret, nonce, raw.decode())
        return as_peer(node, None, "POST", "/link/v1/enrol/reveal", msgspec.json.encode(shown))

    assert reveal(offers[0], PODGORICA).status == 200
    refused = reveal(offers[1], MALLORY)
    assert (refused.status, "vlora" in refused.body.decode().lower()) == (409, False)
    assert [(one["invitation"], one["reason"]) for one in node.logged("enrolment.refused")] == [
        (offers[1].id, "There is a peer 'Vlora' already: choose another name.")
    ]


def test_a_peer_that_is_only_pending_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, "tirana") as (node,):
        pending = RunningNode(tmp_path, "vienna")
        try:
            pending.start()
            made = node.post("/peers/invite", {"name": "vienna"})
            pending.post("/peers/accept", {"invitation": made["invitation"]})
            # Until an officer has compared the phrase it is a stranger: TLS itself turns it away.
            show = pending.home / "keys" / "tls-leaf.pem"
            assert_refused_and_reported(node, show, "wrong certificate")
        finally:
            pending.kill()


def connected(node: RunningNode, leaf: Path | None = None, *, handshake: bool = True) -> socket.socket:
    """Connect to the listener for peers, and shake hands unless that is not wanted."""
    plain = socket.create_connection(("127.0.0.1", node.link_port), timeout=60)
    if not handshake:
        return plain
    return tls.client_context(leaf, node.tls_root).wrap_socket(
        plain, server_hostname=tls.server_name(node.member)
    )


def said(node: RunningNode, first: bytes, leaf: Path | None = None) -> socket.socket:
    """Connect, shake hands, send the beginning of a request and leave it at that."""
    made = connected(node, leaf)
    made.sendall(first)
    return made


HEAD = b"POST /link/v1/enrol/commit HTTP/1.1\r\nHost: a\r\n"


@contextmanager
def flooded(make: Callable[[], socket.socket], count: int) -> Iterator[None]:
    """Hold connections to a node."""
    with ExitStack() as held:
        for _ in range(count):
            held.enter_context(make())
        yield


def resident(node: RunningNode) -> int:
    """Return how much memory the process has, in KiB."""
    assert node.process is not None
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def descriptors(node: RunningNode) -> int:
    assert node.process is not None
    return len(list(Path(f"/proc/{node.process.pid}/fd").iterdir()))


def test_strangers_without_end_keep_no_peer_out_and_take_no_room(tmp_path: Path) -> None:
    with running(tmp_path, "tirana", "podgorica") as (node, peer):
        peer.publish(bundle([indicator("before.example")]), "tirana")
        until(lambda: node.counts()["statements"] == 1, 20)
        memory, files = resident(node), descriptors(node)
        body = HEAD + b"Content-Length: 131000\r\n\r\n" + b"x" * 130_000
        kinds: list[Callable[[], socket.socket]] = [
            lambda: connected(node, handshake=False),
            lambda: connected(node),
            lambda: said(node, HEAD + b"X: "),
            lambda: said(node, body),
        ]
        for number, make in enumerate(kinds, 2):
            with flooded(make, 300):
                assert descriptors(node) <= files + 60
                peer.publish(bundle([indicator(f"{number}.example")]), "tirana")
                until(partial(_holds, node, number), 20)
                # Who comes anew comes in too.
                show = peer.home / "keys" / "tls-leaf.pem"
                assert as_peer(node, show, "POST", FRAMES, b"no batch").status == 422
        assert resident(node) - memory < 64 << 10
        assert node.alive
        assert 1 <= len(node.logged("peers.cut")) <= 3
        token = node.post("/tokens", {"name": "prometheus", "role": "monitor"})["token"]
        assert cut(node, token, "address") >= 4 * 240


def _holds(node: RunningNode, statements: int) -> bool:
    return node.counts()["statements"] == statements


def cut(node: RunningNode, token: str, why: str) -> float:
    """Return how many connections a node has cut for a reason."""
    asked = urllib.request.Request(f"{node.url}/metrics", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(asked, timeout=20) as reply:
        lines = reply.read().decode().splitlines()
    (found,) = (one for one in lines if one.startswith(f'lezha_link_connections_cut_total{{why="{why}"}}'))
    return float(found.split()[-1])


def test_nobody_is_waited_for_without_end_an_enrolled_peer_neither(
    nodes: tuple[RunningNode, RunningNode, RunningNode],
) -> None:
    node, peer, _ = nodes
    show = peer.home / "keys" / "tls-leaf.pem"
    slow = f"POST {FRAMES} HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n".encode()
    began = time.monotonic()
    with ExitStack() as held:
        waiting = {
            "handshake": held.enter_context(connected(node, handshake=False)),
            "head": held.enter_context(said(node, HEAD + b"X: ")),
            "body": held.enter_context(said(node, slow, show)),
        }
        ended: dict[str, float] = {}
        while waiting:
            assert time.monotonic() - began < 60, waiting
            for name, one in list(waiting.items()):
                if _is_cut(one, b"" if name == "handshake" else b"x"):
                    ended[name] = time.monotonic() - began
                    del waiting[name]
            assert as_peer(node, show, "POST", FRAMES, GREETING).status == 200
            time.sleep(0.5)
    assert ended["handshake"] < 20
    assert ended["head"] < 25
    assert ended["body"] < 40


def _is_cut(one: socket.socket, drip: bytes) -> bool:
    """Whether the other end has gone; send it one byte more."""
    one.settimeout(0.01)
    try:
        one.sendall(drip)
        return one.recv(1) == b""
    except (TimeoutError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True


def test_a_batch_over_a_slow_line_is_taken(nodes: tuple[RunningNode, RunningNode, RunningNode]) -> None:
    node, peer, _ = nodes
    raw = b"x" * 24_576

    def slowly() -> Iterator[bytes]:
        for place in range(0, len(raw), 512):
            yield raw[place : place + 512]
            time.sleep(0.5)

    began = time.monotonic()
    # It is read to its end, and then it is no batch.
    answer = as_peer(node, peer.home / "keys" / "tls-leaf.pem", "POST", FRAMES, slowly())
    assert (answer.status, time.monotonic() - began > 20) == (422, True)
