"""What a hostile member may put into frames: for each forgery the code with which it has to be put aside."""

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.federation.keys import Party, charter, roster
from tests.stix.examples import indicator

from lezha.federation import checkpoint, document, envelope, tombstone
from lezha.federation import roster as rosters
from lezha.federation.checkpoint import Commitment
from lezha.federation.document import KnownDocument
from lezha.federation.envelope import PayloadType
from lezha.federation.frame import FrameKind, Parcel
from lezha.federation.statement import Statement, sign
from lezha.federation.tombstone import Tombstone
from lezha.node.clock import later
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Tlp
from lezha.stix import encode, read

_TERMS = Terms(Tlp.AMBER, Audience(everyone=True))
_STRANGER = envelope.signer(Ed25519PrivateKey.from_private_bytes(b"stranger" * 4))


class Forgery(NamedTuple):
    """A parcel that is not what it should be, and the code for that."""

    parcel: Parcel
    code: str


class Forger:
    """Makes what `party` sends at a time `now`, also in the name of `other`, whose keys it does not have."""

    def __init__(self, party: Party, other: Party, now: str) -> None:
        self.party, self.other, self.now = party, other, now
        self._made = 0

    def sound(self, **changes: Any) -> Parcel:
        """Return a statement that is in order, about an object of its own."""
        raw = self._object(**changes)
        return Parcel(FrameKind.STATEMENT, self._says(raw), (raw,))

    def equivocal(self) -> tuple[Parcel, Parcel]:
        """Return two statements about two objects of one version."""
        one = self._object(created_by_ref=self.party.member)
        other = encode(json.loads(one) | {"name": "another.example"})
        return tuple(Parcel(FrameKind.STATEMENT, self._says(raw), (raw,)) for raw in (one, other))  # type: ignore[return-value]  # two

    def forgeries(self) -> list[Forgery]:
        """Return one of each kind that may stand anywhere in a batch."""
        return [
            *self._unsigned(),
            *self._unfit(),
            *self._taken_back(),
            *self._of_wrong_kinds(),
            *self._others(),
        ]

    def documents(self, own: KnownDocument, other: KnownDocument) -> list[Forgery]:
        """Return node documents. With one of them a batch ends."""
        said = [
            (msgspec.structs.replace(own.document, number=0), "old_document"),
            (
                msgspec.structs.replace(own.document, number=9, identity=self.party.identity("Another")),
                "changed_identity",
            ),
        ]
        root = envelope.signer(self.party.root)
        made = [(document.sign(one, root), code) for one, code in said]
        anew = Ed25519PrivateKey.from_private_bytes(b"new root" * 4)
        changed = msgspec.structs.replace(own.document, number=9, root=envelope.public_hex(anew))
        made.append((document.sign(changed, envelope.signer(anew)), "changed_root"))
        made.append((other.raw, "wrong_member"))
        return [Forgery(Parcel(FrameKind.DOCUMENT, raw), code) for raw, code in made]

    def tombstone(self, statement: str) -> Forgery:
        """Return what would take back a statement of another member, in the own name."""
        known = tombstone.sign(Tombstone(self.party.member, statement, self.now), self.party.signer)
        return Forgery(Parcel(FrameKind.TOMBSTONE, known.raw), "not_origin")

    def _object(self, **changes: Any) -> bytes:
        self._made += 1
        made: dict[str, Any] = {
            "id": f"indicator--{self._made:08d}-0000-4000-8000-00000000bad0",
            "created": "2026-02-01T00:00:00.000Z",
            "modified": "2026-02-01T00:00:00.000Z",
            "created_by_ref": None,
            "name": f"hostile{self._made}.example",
            "pattern": f"[domain-name:value = 'hostile{self._made}.example']",
            "object_marking_refs": None,
        }
        return encode(indicator(**(made | changes)))

    def _says(self, raw: bytes, signer: Any = None, **changes: Any) -> bytes:
        found = read(raw)
        said: dict[str, Any] = {
            "member": self.party.member,
            "content": found.sha256,
            "object_id": found.id,
            "object_version": found.version,
            "issued": self.now,
            "terms": _TERMS,
        }
        return sign(Statement(**(said | changes)), signer or self.party.signer).raw

    def _statement(self, code: str, raw: bytes, signer: Any = None, **changes: Any) -> Forgery:
        return Forgery(Parcel(FrameKind.STATEMENT, self._says(raw, signer, **changes), (raw,)), code)

    def _unsigned(self) -> Iterator[Forgery]:
        raw = self._object()
        signed = json.loads(self._says(raw))
        payload = base64.b64decode(signed["payload"]).replace(b'"amber"', b'"clear"')
        widened = encode(signed | {"payload": base64.b64encode(payload).decode()})
        yield Forgery(Parcel(FrameKind.STATEMENT, widened, (raw,)), "bad_signature")
        yield self._statement("unknown_key", self._object(), _STRANGER)
        yield self._statement("wrong_member", self._object(), member=self.other.member)
        yield Forgery(Parcel(FrameKind.STATEMENT, b"no envelope at all"), "malformed_envelope")
        empty = envelope.seal(b"{}", PayloadType.STATEMENT, self.party.signer)
        yield Forgery(Parcel(FrameKind.STATEMENT, empty), "malformed_statement")

    def _unfit(self) -> Iterator[Forgery]:
        raw = self._object()
        altered = raw.replace(b"hostile", b"changed")
        yield Forgery(Parcel(FrameKind.STATEMENT, self._says(raw), (altered,)), "content_mismatch")
        yield self._statement(
            "content_mismatch",
            self._object(),
            object_id="indicator--" + "1" * 8 + "-0000-4000-8000-" + "1" * 12,
        )
        yield self._statement("authority", self._object(created_by_ref=self.other.member))
        yield self._statement("clock_ahead", self._object(), issued=later(self.now, hours=1))
        yield self._statement("clock_ahead", self._object(modified="2036-02-01T00:00:00.000Z"))
        twice = b'{"tlp":"red","tlp":"clear"}'
        said = self._says(self._object(), content=hashlib.sha256(twice).hexdigest())
        yield Forgery(Parcel(FrameKind.STATEMENT, said, (twice,)), "invalid_object")
        yield self._statement("too_broad", self._object(pattern="[ipv4-addr:value = '10.0.0.0/8']"))

    def _taken_back(self) -> Iterator[Forgery]:
        said = tombstone.sign(Tombstone(self.other.member, "5" * 64, self.now), self.party.signer).raw
        yield Forgery(Parcel(FrameKind.TOMBSTONE, said), "wrong_member")
        own = tombstone.sign(Tombstone(self.party.member, "5" * 64, self.now), self.party.signer).raw
        yield Forgery(Parcel(FrameKind.TOMBSTONE, own, (b"with something",)), "malformed_tombstone")

    def _of_wrong_kinds(self) -> Iterator[Forgery]:
        raw = self._object()
        said = self._says(raw)
        for kind in (FrameKind.TOMBSTONE, FrameKind.ROSTER, FrameKind.COMMITMENT):
            yield Forgery(Parcel(kind, said), "wrong_kind")
        receipt = envelope.seal(b"{}", PayloadType.RECEIPT, self.party.signer)
        yield Forgery(Parcel(FrameKind.STATEMENT, receipt, (raw,)), "wrong_kind")

    def _others(self) -> Iterator[Forgery]:
        for member, at, code in (
            (self.other.member, self.now, "unknown_key"),
            (self.party.member, later(self.now, hours=1), "clock_ahead"),
        ):
            known = checkpoint.sign_commitment(Commitment(member, "5" * 64, at), self.party.signer)
            yield Forgery(Parcel(FrameKind.COMMITMENT, known.raw), code)
        alone = roster(charter(self.party, name="OURS"), members={self.party.member: 1})
        yield Forgery(Parcel(FrameKind.ROSTER, rosters.draft(alone, self.party.signer)), "roster_not_ours")
        theirs = roster(charter(self.other), members={self.party.member: 1, self.other.member: 1})
        yield Forgery(Parcel(FrameKind.ROSTER, rosters.draft(theirs, self.party.signer)), "unknown_key")
