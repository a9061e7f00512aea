"""The codes by which a peer says that it has put a frame aside, in words for whoever sent it. Pure."""

from typing import Final

_UNREAD: Final = "it can't be read there: one of the two nodes may be of another version"
_WORDS: Final = {
    "authority": "it claims another member as its creator, or says who another member is",
    "bad_signature": "its signature does not hold",
    "changed_identity": "this node's new document tells otherwise who the member is: call the peer's officer",
    "changed_root": "this node's new document has another root: meet the peer anew, `lezha peer invite --again`",
    "clock_ahead": "it is dated ahead by the peer's clock, and held there until then: compare the clocks",
    "commitment_order": "this node commits itself more often than the peer keeps",
    "companion": "something goes beside it that may not",
    "content_mismatch": "the bytes are not those that were signed",
    "equivocation": "its creator signed other bytes as this version before: both are kept there, and neither counts",
    "invalid_object": "the peer does not read it as STIX 2.1, or it breaks a limit there",
    "malformed_checkpoint": _UNREAD,
    "malformed_document": _UNREAD,
    "malformed_envelope": _UNREAD,
    "malformed_key": _UNREAD,
    "malformed_roster": _UNREAD,
    "malformed_statement": _UNREAD,
    "malformed_tombstone": _UNREAD,
    "not_origin": "it takes back what another member signed",
    "old_document": "the peer holds a later document of this node: put the newest one back",
    "roster_conflict": "the peer holds another roster of this number: ask the community's stewards",
    "roster_not_ours": "the peer is no member by this roster",
    "taken_key": "this node's document names a key that is another member's there",
    "too_broad": "it is broader than the peer looks for on another's word, or names what is the peer's own",
    "too_large": "it is too large for the peer",
    "too_many_rosters": "many rosters wait there that nobody has accepted: ask the peer's officer to accept them",
    "too_many_tombstones": "many recalls wait there for what was never sent",
    "unknown_key": "it knows no key of whoever signed this: the author is no peer there, or has new keys",
    "unrevoked": "this node's new document takes back that a key is revoked: put the newest one back",
    "wrong_kind": "it is of another kind than this place demands",
    "wrong_member": "it is signed by the key of another member",
}


def words(code: str) -> str:
    """Say what a refusal means, with its code; of one that is not known here the code alone."""
    return f"{_WORDS[code]} ({code})" if code in _WORDS else code


def known(code: str) -> str:
    """Return a code, or `other` for one that is not known here: a peer may make up any number of them."""
    return code if code in _WORDS else "other"
