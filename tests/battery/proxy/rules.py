"""What has to hold once all is well, read from the databases and logs of real nodes, from outside.

What the simulation demands in the end (tests/battery/simulator/rules.py) is demanded here too, of the same tables.
Beyond it: nobody holds, or was sent, what it may not have, not even for a while; the numbers, chains and receipts of
both ends of a way agree; what was recalled counts nowhere; every log is sound; and no node made a mistake of its own.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import create_engine
from tests.battery.nodes import RunningNode
from tests.battery.simulator import rules

from lezha.federation import document, envelope, frame
from lezha.federation.envelope import PayloadType
from lezha.federation.errors import Refused
from lezha.flows.check import check
from lezha.node.settings import DATABASE
from lezha.store import schema
from lezha.store.log import Reader
from lezha.store.views import GENESIS

FOREVER = "9999"


@dataclass
class Held:
    """What a node holds, as the rules of the simulation want to see it."""

    node: RunningNode
    view: sqlite3.Connection
    linked: list["Held"] = field(default_factory=list)
    restored: bool = False

    @property
    def member(self) -> str:
        return self.node.member

    @property
    def name(self) -> str:
        return self.node.name

    def rows(self, query: str, *values: object) -> list[Any]:
        return self.view.execute(query, values).fetchall()


@dataclass
class Silence:
    """`one` had suspended `other` from `since` until `until`, which is FOREVER while that is so."""

    one: RunningNode
    other: RunningNode
    since: str
    until: str = FOREVER


@contextmanager
def looked_at(nodes: Sequence[RunningNode]) -> Iterator[list[Held]]:
    """Give what the nodes hold; all are linked to one another."""
    with ExitStack() as stack:
        made = [Held(node, stack.enter_context(closing(_view(node)))) for node in nodes]
        for one in made:
            one.linked = [other for other in made if other is not one]
        yield made


def _view(node: RunningNode) -> sqlite3.Connection:
    """Return a node's database, or a copy of it if it is PostgreSQL's: the questions are SQLite's."""
    if not node.database:
        return sqlite3.connect(f"file:{node.home / DATABASE}?mode=ro", uri=True, timeout=10)
    made, source = (
        sqlite3.connect(":memory:"),
        create_engine(node.database, isolation_level="REPEATABLE READ"),
    )
    with closing(source.raw_connection()) as server, closing(server.cursor()) as cursor:
        for table in schema.metadata.sorted_tables:
            columns = [column.name for column in table.columns]
            cursor.execute(f"SELECT {', '.join(columns)} FROM {table.name}")
            made.execute(f"CREATE TABLE {table.name} ({', '.join(columns)})")
            made.executemany(
                f"INSERT INTO {table.name} VALUES ({', '.join('?' * len(columns))})", cursor.fetchall()
            )
    source.dispose()
    return made


def faults(nodes: Sequence[RunningNode], silences: Sequence[Silence]) -> Iterator[str]:
    """Give all in the databases that is not as it should be once everything has arrived."""
    with looked_at(nodes) as members:
        yield from rules.faults(members)
        for one in members:
            yield from _not_for_it(one, silences)
            for other in one.linked:
                yield from _stream(one, other)


def _not_for_it(one: Held, silences: Sequence[Silence]) -> Iterator[str]:
    """What a node holds and may not have, or has from somebody who may not send it."""
    by_member = {other.member: other for other in one.linked}
    arrived = one.rows(
        "SELECT s.envelope, s.issued, a.member, a.at FROM arrivals a JOIN statements s ON s.seq = a.statement"
    )
    for raw, issued, sender, at in arrived:
        said = _said(raw)
        words = (
            f"{one.name} has statement {said['object_id']} of {said['member']} from {by_member[sender].name}"
        )
        if not _may_send(sender, one.member, said):
            yield f"{words}, which may not send it"
        for silence in silences:
            between = {silence.one.member, silence.other.member} == {sender, one.member}
            if between and issued > silence.since and at < silence.until:
                yield f"{words}, though {silence.one.name} had suspended {silence.other.name}"
    came = {key for (key,) in one.rows("SELECT statement FROM arrivals")}
    for seq, raw in one.rows("SELECT seq, envelope FROM statements"):
        said = _said(raw)
        if said["member"] != one.member and seq not in came:
            yield f"{one.name} has statement {said['object_id']} of {said['member']} from nobody"


def _may_send(sender: str, receiver: str, said: Mapping[str, Any]) -> bool:
    """Whether a statement allows one member to give it to another: docs/design.md, Release, for what is told here."""
    terms = said["terms"]
    named = receiver in terms["audience"]["members"]
    if receiver == said["member"] or not (named or terms["audience"]["everyone"]):
        return False
    relayed = {"clear": True, "green": named, "amber": named}
    return sender == said["member"] or (terms["onward"] and relayed[terms["tlp"]])


def _stream(one: Held, other: Held) -> Iterator[str]:
    """Where two ends do not agree on what `one` has sent to `other`."""
    way = f"from {one.name} to {other.name}"
    chains = {0: GENESIS}
    numbered = "SELECT number, digest, chain FROM views WHERE recipient = ? ORDER BY number"
    for expected, (number, digest, chain) in enumerate(one.rows(numbered, other.member), 1):
        if number != expected or chain != frame.link(chains[expected - 1], number, digest):
            yield f"{way}, frame {expected} is not what follows the one before"
            return
        chains[number] = chain
    streams = other.rows("SELECT head, chain FROM inbound WHERE member = ?", one.member)
    if len(streams) > 1:
        yield f"{other.name} knows of {len(streams)} lives of {one.name}"
    head, chain = streams[0] if streams else (0, GENESIS)
    if chains.get(head) != chain:
        yield f"{way}, frame {head} is another one at either end"
    receipts = one.rows("SELECT head, envelope FROM receipts WHERE recipient = ?", other.member)
    keys = document.read((other.node.home / "node.json").read_bytes()).document.verification_keys()
    for kept, raw in receipts:
        try:
            receipt = frame.read_receipt(raw, keys, other.member, one.member)
        except Refused as error:
            yield f"{way}, the receipt for {kept}: {error}"
            continue
        if receipt.head != kept or kept > head or bytes.fromhex(receipt.chain) != chains.get(kept):
            yield f"{way}, the receipt for {kept} speaks of something else"
        if refused := [one for one in receipt.refused if one[1] != frame.SUSPENDED]:
            yield f"{way}, the receipt for {kept} refuses {refused}"


def _said(raw: bytes) -> Any:
    return json.loads(envelope.peek(bytes(raw), PayloadType.STATEMENT))


# --- of nodes that run ------------------------------------------------------------------------------------------------


def counts(node: RunningNode, recalled: Sequence[str], sensor: str) -> Iterator[str]:
    """Give what a node counts that was recalled, or does not count though it holds it; `sensor` is a token."""
    held = dict(node.rows("SELECT stix_id, name FROM contents WHERE type = 'indicator'"))
    for stix_id in recalled:
        if stix_id in held and [one["found"]["barred"] for one in node.get(f"/objects/{stix_id}")] != [
            "recalled"
        ]:
            yield f"{node.name} does not know that {stix_id} was recalled"
    watched = list(_watched(node, sensor))
    wanted = sorted(name for stix_id, name in held.items() if stix_id not in recalled)
    if sorted(watched) != wanted:
        missing, more = sorted(set(wanted) - set(watched)), sorted(set(watched) - set(wanted))
        yield f"a sensor of {node.name} looks for {len(watched)} names: {missing} are missing, {more} too many"


def _watched(node: RunningNode, token: str) -> Iterator[str]:
    after, more = 0, True
    while more:
        answer = node.call("GET", "/sensor/indicators", query={"after": str(after)}, token=token)
        assert answer.status == 200, answer
        found = answer.json()
        yield from (value for one in found["items"] for _, value in one["observables"])
        after, more = found["head"], found["more"]


def mistakes(node: RunningNode) -> Iterator[str]:
    """Give what a node has logged as an error, or what it died of."""
    for line in node.log.read_text(errors="replace").splitlines():
        if not line.startswith("{"):
            if line.startswith("Traceback"):
                yield f"{node.name} logged a trace outside of its log"
        elif (said := json.loads(line))["level"] in {"error", "critical"} or "exception" in said:
            yield f"{node.name} logged {line}"
    if node.process is None or node.process.poll() is not None:
        yield f"{node.name} has ended"


def unsound(node: RunningNode) -> Iterator[str]:
    """Give what `lezha store check` finds in a node's log."""
    with closing(Reader(node.database or f"sqlite:///{node.home / DATABASE}")) as log:
        for found in check(log):
            yield f"the log of {node.name}: {found}"
