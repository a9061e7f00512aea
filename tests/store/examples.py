"""Rows to start from; each test changes what it is about."""

import hashlib
from typing import Any

from msgspec.structs import replace

from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Tlp
from lezha.store import contents, statements, views
from lezha.store.communities import KeptRoster
from lezha.store.contents import Content
from lezha.store.log import Tx
from lezha.store.peers import Peer, PeerState
from lezha.store.statements import Signed
from lezha.store.views import Entry, ViewKind

ALBANIA = "identity--a1000000-0000-4000-8000-000000000000"
MONTENEGRO = "identity--c1000000-0000-4000-8000-000000000000"
AT = "2022-07-15T09:00:00.000000Z"
EXPIRES = "2023-07-15T09:00:00.000000Z"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def content(number: int = 1, **changes: Any) -> Content:
    plain = Content(
        hash=digest(f"content {number}"),
        stix_id=f"indicator--{number:08d}-0000-4000-8000-000000000000",
        type="indicator",
        version=AT,
        creator=ALBANIA,
        name=f"indicator {number}",
        raw=f"bytes {number}".encode(),
        text=f"indicator {number}",
    )
    return replace(plain, **changes)


def signed(number: int = 1, **changes: Any) -> Signed:
    plain = Signed(
        hash=digest(f"statement {number}"),
        content=digest(f"content {number}"),
        origin=ALBANIA,
        own=True,
        terms=Terms(Tlp.GREEN, Audience(everyone=True)),
        issued=AT,
        envelope=f"envelope {number}".encode(),
    )
    return replace(plain, **changes)


def publish(tx: Tx, *numbers: int) -> None:
    """Keep contents with these numbers, each with a statement."""
    contents.add(tx, [content(number) for number in numbers], "test")
    statements.add(tx, [signed(number) for number in numbers], "test")


def entry(number: int, of: int | None = None) -> Entry:
    """Row `number` of a view; it gives statement `of`, by default the one of the same number."""
    ref = digest(f"statement {of or number}")
    return Entry(
        number, ViewKind.STATEMENT, ref, "rule", bytes([number % 256]) * 32, bytes([number % 256]) * 32
    )


def give(tx: Tx, recipient: str, *entries: Entry) -> None:
    views.append(tx, recipient, entries)


def roster(number: int = 1, **changes: Any) -> KeptRoster:
    plain = KeptRoster(
        community="community--nato",
        name="NATO",
        number=number,
        hash=digest(f"roster {number}"),
        expires=EXPIRES,
        members={ALBANIA: 1, MONTENEGRO: 1},
        envelope=f"roster {number}".encode(),
    )
    return replace(plain, **changes)


def peer(name: str = "podgorica", member: str = MONTENEGRO, **changes: Any) -> Peer:
    plain = Peer(
        member, name, PeerState.ACTIVE, "12345", Tlp.STRICT, AT, 1, "https://192.0.2.2:8441", b"document"
    )
    return replace(plain, **changes)
