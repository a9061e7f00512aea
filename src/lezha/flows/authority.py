"""Who may say what about whose objects: docs/design.md, Authority, as it holds for what is published or taken here."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from sqlalchemy import Connection

from lezha.federation.members import Members
from lezha.flows.errors import Rejected
from lezha.store import contents, disputes, substances
from lezha.store.contents import Content
from lezha.store.disputes import Question, Version
from lezha.store.log import Log, Tx


def unfit(member: str, members: Members, content: Content, in_conflict: Collection[str]) -> Rejected | None:
    """Say why `member`, whose node this is, may not bring `content` into the log; None if it may.

    `in_conflict` is what `conflicts` has found.
    """
    # docs/design.md, Authority: what claims a member as creator needs that member's own statement.
    if content.creator != member and content.creator in members.identities:
        name = members.names[content.creator]
        return Rejected(content.stix_id, "lezha authority", f"{name} wrote it: only {name} can publish it.")
    if content.stix_id != member and members.identities.get(content.stix_id, content.hash) != content.hash:
        name = members.names[content.stix_id]
        return Rejected(content.stix_id, "lezha authority", f"{name} alone says who {name} is.")
    if content.creator == member and content.hash in in_conflict:
        # STIX 2.1 §3.6.1: any change needs a later `modified`.
        reason = "other bytes with this id and version were published already: raise its `modified`."
        return Rejected(content.stix_id, "STIX 2.1 §3.6.1", reason)
    return None


def conflicts(conn: Connection, read: Sequence[Content]) -> frozenset[str]:
    """Return the hashes of those contents of whose id and version other bytes are held, or came before in `read`."""
    return frozenset(contents.in_conflict(conn, read) | _at_odds(read))


def _at_odds(read: Sequence[Content]) -> set[str]:
    first: dict[tuple[str, str], str] = {}
    return {one.hash for one in read if first.setdefault((one.stix_id, one.version), one.hash) != one.hash}


def purged(content: Content) -> Rejected:
    """Say that the bytes of a content were destroyed here, and stay so."""
    return Rejected(content.stix_id, "lezha purge", "its bytes were purged here, and are not taken again.")


def ask(log: Log, subjects: Sequence[Content]) -> list[Question]:
    """Return what has to be weighed of `subjects` before `settle`: versions of which there are several contents."""
    coming: dict[Version, dict[str, bytes]] = {}
    for one in subjects:
        if one.creator:
            coming.setdefault(_version(one), {})[one.hash] = one.raw
    if not coming:
        return []
    with log.read() as conn:
        return disputes.questions(conn, coming.keys() - disputes.known(conn, coming), coming)


def weigh(log: Log, asked: Sequence[Question]) -> dict[str, str]:
    """Work out what `settle` will want to know, hash -> substance, before it has the writer's turn."""

    def read(content: str) -> str | None:
        with log.read() as conn:
            return substances.of(conn, content)

    said: dict[str, str] = {}
    for question in asked:
        disputes.differ(question, said, read)
    return said


def settle(tx: Tx, subjects: Sequence[Content], said: Mapping[str, str]) -> set[str]:
    """Quarantine those versions of `subjects` of which their creator has signed different contents.

    Call it when their statements have been written: what it does depends on what is held, not on what came first.
    `said` is what `weigh` has found. Returns the hashes of those contents in dispute that were not the first of their
    version here.
    """
    versions = {one.hash: _version(one) for one in subjects if one.creator}
    known = disputes.known(tx.conn, versions.values())
    found = dict(said)
    new = set(disputed(tx.conn, set(versions.values()) - known, found))
    disputes.begin(tx, new)
    substances.keep(tx.conn, {seq: found[key] for key, seq in contents.seqs(tx.conn, found).items()})
    both = known | new
    return disputes.later(tx.conn, [key for key, version in versions.items() if version in both])


def disputed(
    conn: Connection, versions: Collection[Version], said: dict[str, str] | None = None
) -> list[Version]:
    """Return those of `versions` of which their creator has signed contents that differ in substance.

    `said` are substances by hash as far as they are known, and gets those that had to be worked out.
    """
    found = {} if said is None else said
    asked = disputes.questions(conn, versions)
    return [one.version for one in asked if disputes.differ(one, found, partial(substances.of, conn))]


def _version(one: Content) -> Version:
    return one.stix_id, one.version, one.creator
