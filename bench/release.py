"""Release: what an explanation, a report of gaps and a removed member cost with 40 peers and a million objects.

The rows are put into the tables as they stand after years of work: each object has a statement, and of the 40 peers
four have it in their views or in what is withheld from them.
"""

import datetime as dt
import hashlib
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import msgspec
from bench.figure import Figure
from bench.run import say

from lezha.federation.frame import FrameKind
from lezha.federation.outbox import Send
from lezha.flows import batches, explain, gaps
from lezha.flows.gaps import Asked
from lezha.node.clock import utc_now
from lezha.sharing.release import Reason
from lezha.sharing.terms import Audience, CommunityTerm, Terms
from lezha.sharing.tlp import Tlp
from lezha.stix import markings
from lezha.store import communities, peers, schema, views
from lezha.store.communities import KeptRoster
from lezha.store.log import Log, Tx
from lezha.store.peers import Peer, PeerState
from lezha.store.rows import insert_rows

MILLION = 1_000_000
PEERS = 40
ASKED = 400
_BATCH = 20_000
_LEDGERS = 4  # peers of whom something is recorded, of each object
_ME = "identity--00000000-0000-4000-8000-000000000000"
_MEMBERS = [f"identity--{number:08d}-0000-4000-8000-000000000000" for number in range(1, PEERS + 1)]
_NATO = "community--" + "0" * 40
_REASONS = [Reason.NOT_IN_AUDIENCE, Reason.CLEARANCE, Reason.SUSPENDED, Reason.NOT_ONWARD]


def figures() -> Iterator[Figure]:
    """Yield what explaining an object and reporting all gaps takes."""
    folder = Path(tempfile.mkdtemp(prefix="lezha-bench-"))
    log = Log(f"sqlite:///{folder / 'lezha.db'}", utc_now)
    try:
        _fill(log)
        yield from explaining(log)
        yield from reporting(log)
        yield removing(log)
    finally:
        log.close()
        shutil.rmtree(folder)


def explaining(log: Log) -> Iterator[Figure]:
    """Yield the 99th percentile of explaining one of a million objects to 40 peers."""
    places = [random.Random(1).randrange(MILLION) for _ in range(ASKED)]  # places, no secrets

    def ask(number: int) -> None:
        with log.read() as conn:
            found = explain.explain(conn, _ME, _id(number), utc_now())
        (version,) = found.versions
        assert len(version.recipients) == PEERS + 1
        assert sum(len(one.recorded) for one in version.recipients) == _LEDGERS

    took = _milliseconds(ask, places)
    p99 = took[len(took) * 99 // 100]
    beside = {"p50_ms": median(took), "max_ms": took[-1], "peers": float(PEERS), "objects": float(MILLION)}
    yield Figure("release.explain_p99_ms", p99, "ms", "<= 50", p99 <= 50, beside)


def reporting(log: Log) -> Iterator[Figure]:
    """Yield what a report of all gaps takes, of 40 peers and of one."""

    def ask(peer: str) -> None:
        with log.read() as conn:
            found = gaps.gaps(conn, _ME, Asked(peer=peer), utc_now())
        assert any(one.own for one in found.peers)

    alone = _milliseconds(lambda number: ask(f"peer-{number:02d}"), list(range(PEERS)))
    took = _milliseconds(lambda _: ask(""), list(range(20)))
    p99 = took[-1]
    beside = {"p50_ms": median(took), "one_peer_p50_ms": median(alone), "one_peer_max_ms": alone[-1]}
    yield Figure("release.gaps_max_ms", p99, "ms", "<= 2000", p99 <= 2000, beside)


def removing(log: Log) -> Figure:
    """Return how long it takes from a roster without a member until no later sending to it includes what is for it."""
    member, head = _MEMBERS[0], MILLION - PEERS
    kept = KeptRoster(_NATO, "NATO", 2, "1" * 64, _later(), dict.fromkeys([_ME, *_MEMBERS[1:]], 1), b"")

    def sent() -> set[FrameKind]:
        with log.read() as conn:
            recipient = peers.by_member(conn, member).recipient()
            packed = batches.pack(conn, recipient, "0" * 16, Send(head), utc_now())
        if packed.denied:
            log.write_now(lambda tx: views.void(tx, member, packed.denied))
        return {one.kind for one in packed.batch.frames}

    assert FrameKind.STATEMENT in sent()
    began = time.perf_counter()
    log.write_now(lambda tx: communities.add(tx, kept, "bench"))
    left = sent()
    took = time.perf_counter() - began
    assert FrameKind.STATEMENT not in left, left
    beside = {"members": float(PEERS), "objects": float(MILLION)}
    return Figure("release.roster_change_s", took, "s", "<= 1", took <= 1, beside)


def _later() -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(days=90)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def _milliseconds(ask: Callable[[int], None], places: list[int]) -> list[float]:
    took = []
    for place in places:
        began = time.perf_counter()
        ask(place)
        took.append((time.perf_counter() - began) * 1e3)
    return sorted(took)


def _id(number: int) -> str:
    return f"indicator--{number:08x}-0000-4000-8000-000000000000"


def _fill(log: Log) -> None:
    say("  putting a million objects into the log ...")
    log.write_now(_people)
    for start in range(0, MILLION, _BATCH):
        log.write_now(lambda tx, start=start: _some(tx, start))  # type: ignore[misc]  # mypy infers no default
        if start % 200_000 == 0:
            say(f"  {start:,}")


def _people(tx: Tx) -> None:
    for number, member in enumerate(_MEMBERS):
        peers.add(
            tx,
            Peer(
                member,
                f"peer-{number:02d}",
                PeerState.ACTIVE,
                "",
                Tlp.STRICT,
                tx.at,
                1,
                "https://192.0.2.1",
                b"",
            ),
            "bench",
        )
    members = dict.fromkeys([_ME, *_MEMBERS], 1)
    communities.add(tx, KeptRoster(_NATO, "NATO", 1, "0" * 64, _later(), members, b""), "bench")
    communities.approve(tx, _NATO, members, "bench")


def _some(tx: Tx, start: int) -> None:
    """Write objects with their statements, and what is recorded of them."""
    terms = msgspec.json.encode(Terms(Tlp.AMBER, Audience(communities=(CommunityTerm(_NATO, 1),)))).decode()
    rows: dict[str, list[tuple[object, ...]]] = {
        name: [] for name in ("contents", "bodies", "statements", "tags")
    }
    given, kept = [], []
    for number in range(start, start + _BATCH):
        content, statement = 2 * number + 1_000_000_000, 2 * number + 1_000_000_001
        key, said = (
            hashlib.sha256(f"{kind} {number}".encode()).digest() for kind in ("content", "statement")
        )
        rows["contents"].append(
            (
                content,
                key,
                _id(number),
                "indicator",
                tx.at,
                _ME,
                f"indicator {number}",
                '["amber"]',
                False,
                False,
                "",
                "",
            )
        )
        rows["bodies"].append((content, key * 10))
        rows["tags"].append(("marking", markings.TLP2_IDS["amber"], content))
        rows["statements"].append((statement, said, content, _ME, True, terms, tx.at, tx.at, said * 20))
        for turn in range(_LEDGERS):
            member = _MEMBERS[(number + turn * 10) % PEERS]
            if (number // PEERS + turn) % 2 == 0:
                given.append(
                    (
                        member,
                        number + 1,
                        "statement",
                        said,
                        "member of NATO, roster 1",
                        key,
                        key,
                        statement,
                        tx.at,
                    )
                )
            else:
                reason = _REASONS[number % len(_REASONS)]
                kept.append((member, said, reason is not Reason.NOT_ONWARD, reason.value, tx.at))
    for name, values in rows.items():
        insert_rows(tx.conn, schema.metadata.tables[name], values)
    insert_rows(tx.conn, schema.views, given)
    insert_rows(tx.conn, schema.withheld, kept)
    for number in range(PEERS):
        head = (_MEMBERS[number], start + number + 1, b"receipt", tx.at)
        insert_rows(tx.conn, schema.receipts, [head])
