"""Which version of an object counts: a function of the set of versions, not of the order in which they came.

A *line* is all versions of one object that one member told of: what one says of an object never changes what another
said. Its versions are sorted by (version, hash). `revoked` is terminal (STIX 2.1 §3.6.2): nothing after it counts.
"""

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class Version(msgspec.Struct, frozen=True, order=True):
    """One version of one object.

    `barred` says that it has no part in its line: disputed, or not to be told. `recalled` says that whoever told of it
    took that back: it has no part either, as if it had never been told. `purged` says that its bytes have been
    destroyed: it keeps its place, so that nothing before it counts again, and does not count itself.
    """

    version: str
    hash: str
    revoked: bool = False
    barred: bool = False
    purged: bool = False
    recalled: bool = False


class State(StrEnum):
    """What a version is in its line."""

    CURRENT = "current"
    REVOKED = "revoked"
    SUPERSEDED = "superseded"
    AFTER_REVOCATION = "after its revocation"
    BARRED = "barred"


def current(line: Iterable[Version]) -> Version | None:
    """Return the version that counts: the decisive one; None if there is none, or if it was purged."""
    found = decisive(line)
    return None if found is None or found.purged else found


def decisive(line: Iterable[Version]) -> Version | None:
    """Return the version that says what counts: the first that is revoked, else the last; None if none has a part."""
    found: Version | None = None
    for one in sorted(one for one in line if not (one.barred or one.recalled)):
        found = one
        if one.revoked:
            break
    return found


def state(one: Version, line: Iterable[Version]) -> State:
    """Return what `one` is in its line."""
    if one.barred or one.purged or one.recalled:
        return State.BARRED
    last = decisive(line)
    assert last is not None, "one is in the line and not barred"
    if one.hash == last.hash:
        return State.REVOKED if one.revoked else State.CURRENT
    return State.SUPERSEDED if one < last else State.AFTER_REVOCATION
