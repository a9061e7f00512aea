"""Parties of tests: their keys, documents and what they sign."""

import datetime as dt
import json
from functools import cache
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner

from lezha.federation import document, envelope, statement, tls
from lezha.federation.document import Contact, NodeDocument
from lezha.federation.roster import Charter, ForATime, Roster
from lezha.federation.statement import Keyring, MemberKey, Statement
from lezha.federation.tls import Pair
from lezha.sharing.terms import Audience, Terms
from lezha.sharing.tlp import Tlp

NOW = dt.datetime(2022, 7, 15, 9, tzinfo=dt.UTC)
AT = "2022-07-15T09:00:00.000000Z"


class Party:
    """A member with keys that are the same in every run."""

    def __init__(self, number: int) -> None:
        self.member = f"identity--{number:08x}-0000-4000-8000-000000000000"
        self.root, self.signing = (
            Ed25519PrivateKey.from_private_bytes(bytes([number, use]) * 16) for use in (1, 2)
        )
        self.signer: CryptoSigner = envelope.signer(self.signing)
        self.public = envelope.public_hex(self.signing)
        self.key = envelope.key(self.public)

    @property
    def tls_root(self) -> Pair:
        return tls_root(self.member)

    def identity(self, name: str = "A member") -> str:
        at = "2022-07-15T09:00:00.000Z"
        return json.dumps(
            {
                "type": "identity",
                "spec_version": "2.1",
                "id": self.member,
                "created": at,
                "modified": at,
                "name": name,
            }
        )

    def written(self, **changes: Any) -> NodeDocument:
        plain = NodeDocument(
            member=self.member,
            name="tirana",
            title="National CSIRT",
            identity=self.identity(),
            root=envelope.public_hex(self.root),
            signing_keys=(self.public,),
            tls_root=self.tls_root.certificate.decode(),
            endpoints=("https://192.0.2.1:8441",),
            contact=Contact("+355", "soc@example.al"),
            number=1,
            issued=AT,
        )
        return msgspec.structs.replace(plain, **changes)

    def document(self, **changes: Any) -> bytes:
        return document.sign(self.written(**changes), envelope.signer(self.root))

    def statement(self, **changes: Any) -> Statement:
        plain = Statement(
            member=self.member,
            content="0" * 64,
            object_id="indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
            object_version=AT,
            issued=AT,
            terms=Terms(Tlp.AMBER, Audience(everyone=True)),
        )
        return msgspec.structs.replace(plain, **changes)

    def says(self, **changes: Any) -> bytes:
        return statement.sign(self.statement(**changes), self.signer).raw


@cache
def tls_root(member: str) -> Pair:
    return tls.make_root(member, dt.datetime.now(dt.UTC))


TIRANA, PODGORICA, MALLORY = Party(1), Party(2), Party(66)


def keyring(*parties: Party) -> Keyring:
    return {one.key.keyid: MemberKey(one.member, one.key) for one in parties}


def charter(*stewards: Party, threshold: int = 1, name: str = "NATO") -> Charter:
    return Charter(name, tuple(one.public for one in stewards), threshold, "00" * 16)


def roster(of: Charter, number: int = 1, **changes: Any) -> Roster:
    """A roster that expired long ago; a later one than the first follows one that nobody holds."""
    members: dict[str, int | ForATime] = {TIRANA.member: 1, PODGORICA.member: 1}
    previous = "" if number == 1 else "0" * 64
    plain = Roster(of, number, members, AT, "2023-07-15T09:00:00.000000Z", previous)
    return msgspec.structs.replace(plain, **changes)


def altered(raw: bytes, **changes: Any) -> bytes:
    """An envelope of which something is changed after signing."""
    return json.dumps(json.loads(raw) | changes).encode()
