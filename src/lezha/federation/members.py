"""The members that this node knows by their node documents: whose keys verify what, and who is who."""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from lezha.federation.document import NodeDocument
from lezha.federation.statement import Keyring, MemberKey


class Members(msgspec.Struct, frozen=True):
    """A snapshot. `identities` maps identity id to the SHA-256 of that member's own identity object."""

    keyring: Keyring
    identities: Mapping[str, str]
    names: Mapping[str, str]
    documents: Mapping[str, NodeDocument]


def known(documents: Iterable[NodeDocument]) -> Members:
    """Return the directory of the members with these node documents."""
    keyring: dict[str, MemberKey] = {}
    identities: dict[str, str] = {}
    names: dict[str, str] = {}
    by_member: dict[str, NodeDocument] = {}
    for document in documents:
        by_member[document.member] = document
        for key in document.verification_keys():
            # Whoever lists another's key does not take it over: the first one, this node's own before all, stays.
            keyring.setdefault(key.keyid, MemberKey(document.member, key))
        identities[document.member] = hashlib.sha256(document.identity.encode()).hexdigest()
        names[document.member] = document.name
    return Members(keyring, identities, names, by_member)
