"""Communities: rosters are drafted by one steward, signed by others, and accepted by each member for itself."""

import secrets
from collections.abc import Collection, Mapping

import msgspec
from securesystemslib.signer import CryptoSigner
from sqlalchemy import Connection

from lezha.federation import document, roster
from lezha.federation.errors import Refused
from lezha.federation.members import Members
from lezha.federation.roster import Charter, KnownRoster, Roster
from lezha.flows import names
from lezha.flows.errors import FlowError
from lezha.flows.receive import kept_roster
from lezha.sharing.community import Community
from lezha.store import communities, peers
from lezha.store.communities import KeptRoster
from lezha.store.errors import Conflict, NotFound
from lezha.store.log import Log, Tx
from lezha.store.peers import PeerState


class Convener(msgspec.Struct, frozen=True):
    """Who drafts and signs: the member, its own short name, and its signing keys by their public halves in hex.

    The first one is in use. Those before it still sign for the communities whose charter names them.
    """

    member: str
    name: str
    signers: Mapping[str, CryptoSigner]

    @property
    def public(self) -> str:
        """The public half of the key in use."""
        return next(iter(self.signers))

    def steward(self, charter: Charter) -> CryptoSigner | None:
        """Return this member's key that a charter names as a steward's, if it names one."""
        return next((self.signers[public] for public in charter.stewards if public in self.signers), None)


class Draft(msgspec.Struct, frozen=True):
    """A community to be founded. Names are those of peers; the convener's own name or `self` is this node.

    `until` says of those who are members for a time when that ends.
    """

    name: str
    members: tuple[str, ...]
    stewards: tuple[str, ...]
    threshold: int
    issued: str
    expires: str
    until: dict[str, str] = {}


class Revision(msgspec.Struct, frozen=True):
    """What the next roster of a community is to change.

    `add` maps who joins, or whose membership gets another end, to that end, or to None for a membership without one.
    Without `expires` the next roster expires when the present one does.
    """

    community: str
    add: dict[str, str | None]
    remove: tuple[str, ...]
    issued: str
    expires: str = ""


class Choice(msgspec.Struct, frozen=True):
    """Some members as people write them, with what tells who they are: this node's own member, and those known."""

    own: str
    members: Members
    written: tuple[str, ...]


class _Party(msgspec.Struct, frozen=True):
    member: str
    public: str


def found(conn: Connection, convener: Convener, wanted: Draft) -> bytes:
    """Return the first roster of a new community, signed by the convener. Nothing is written.

    Raises FlowError.
    """
    members = {_who(conn, convener, name).member: wanted.until.get(name) for name in wanted.members}
    stewards = tuple(_who(conn, convener, name).public for name in wanted.stewards)
    if wanted.name.lower() in {c.name.lower() for c in communities.current(conn).values()} | {"everyone"}:
        raise FlowError(f"There is a community {wanted.name!r} here already: choose another name.")
    if not 1 <= wanted.threshold <= len(set(stewards)):
        raise FlowError("The threshold must lie between 1 and the number of stewards.")
    draft = Roster(
        charter=Charter(wanted.name, stewards, wanted.threshold, secrets.token_hex(16)),
        number=1,
        members={
            member: 1 if until is None else roster.ForATime(1, until) for member, until in members.items()
        },
        issued=wanted.issued,
        expires=wanted.expires,
    )
    return _signed(draft, convener)


def revise(conn: Connection, convener: Convener, members: Members, wanted: Revision) -> bytes:
    """Return the roster that follows the latest one held here, signed by the convener. Nothing is written.

    Raises FlowError, NotFound.
    """
    latest = _steward_of(convener, _latest(conn, wanted.community))
    before = latest.roster
    add = {_joining(conn, convener, members, before, name): until for name, until in wanted.add.items()}
    remove = _chosen(conn, Choice(convener.member, members, wanted.remove))
    _require(before.members, remove, f"is no member by roster {before.number} of {before.charter.name}")
    expires = wanted.expires or before.expires
    if expires <= wanted.issued:
        raise FlowError(f"This roster would have expired at {expires}: say when the next one expires.")
    draft = roster.successor(latest, add, remove, wanted.issued, expires)
    if (draft.members, draft.expires) == (before.members, before.expires):
        raise FlowError(
            f"This changes nothing: roster {before.number} of {before.charter.name} says so already."
        )
    if not draft.members:
        raise FlowError("Nobody would be left in it: a community that has ended is let expire.")
    return _signed(draft, convener)


def cosign(conn: Connection, convener: Convener, raw: bytes) -> bytes:
    """Add the convener's signature to a roster that follows the one held here. Raises FlowError."""
    try:
        wanted = roster.peek(raw)
        signer = convener.steward(wanted.charter)
        if signer is None:
            raise FlowError("This member is not a steward of that community: its signature would not count.")
        _check_follows(conn, wanted, raw)
        return roster.cosign(raw, signer)
    except Refused as refused:
        raise FlowError(str(refused)) from refused


async def handed_out(log: Log, raw: bytes, actor: str) -> bytes:
    """Have it in the log that this member signed a roster, and return it: whoever has it may show it to others."""
    signed, digest = roster.peek(raw), roster.digest(raw)

    def work(tx: Tx) -> None:
        tx.event("roster signed", digest, actor, community=signed.charter.community, number=signed.number)

    await log.write(work)
    return raw


async def accept(log: Log, raw: bytes, actor: str, only: Choice | None = None) -> Community:
    """Take a roster as true and admit the members it names, or with `only` some of them and this node's own member.

    Raises FlowError; a second roster of one number is refused, and that is recorded.
    """
    try:
        known = roster.read(raw)
    except Refused as refused:
        raise FlowError(_too_few(raw) or str(refused)) from refused
    kept = kept_roster(known)

    def work(tx: Tx) -> Community | Conflict:
        wanted = dict.fromkeys(kept.members, "") if only is None else _chosen(tx.conn, only)
        _require(kept.members, wanted, f"is no member by roster {kept.number} of {kept.name}")
        own = "" if only is None else only.own
        try:
            communities.add(tx, kept, actor)
        except Conflict as conflict:
            communities.clash(tx, kept, actor)
            return conflict
        admitted = {member: number for member, number in kept.members.items() if member in {own, *wanted}}
        communities.approve(tx, kept.community, admitted, actor)
        return communities.current(tx.conn)[kept.community]

    outcome = await log.write(work)
    if isinstance(outcome, Conflict):
        raise FlowError(str(outcome)) from outcome
    return outcome


def _too_few(raw: bytes) -> str:
    """Say how many stewards must still sign a roster; empty if that is not what it lacks, or if it can't be read."""
    try:
        draft, signed = roster.peek(raw), len(roster.signed_by(raw))
    except Refused:
        return ""
    if signed >= draft.charter.threshold:
        return ""
    return (
        f"{draft.charter.threshold} stewards of {draft.charter.name} must sign roster {draft.number}, and "
        f"{signed} {'has' if signed == 1 else 'have'}: `lezha community show` says who; let another one sign it with "
        "`lezha community sign`."
    )


async def approve(log: Log, community: str, wanted: Choice, actor: str) -> Community:
    """Admit members that the latest roster of a community names and that wait here. Raises FlowError, NotFound."""

    def work(tx: Tx) -> Community:
        found = accepted(tx.conn, community)
        chosen = _chosen(tx.conn, wanted)
        _require(found.waiting, chosen, f"does not wait for approval in {found.name}")
        admitted = {member: found.waiting[member] for member in chosen}
        communities.approve(tx, found.id, admitted, actor)
        return communities.current(tx.conn)[found.id]

    return await log.write(work)


def accepted(conn: Connection, written: str) -> Community:
    """Return a community that was accepted here, by its name or id. Raises NotFound, FlowError if two have the name."""
    present = communities.current(conn)
    if written in present:
        return present[written]
    named = [one for one in present.values() if one.name.lower() == written.lower()]
    if len(named) > 1:
        raise FlowError(
            f"Two communities here are called {named[0].name!r}: write the id of the one that you mean, "
            f"{' or '.join(one.id for one in named)}."
        )
    if not named:
        known = ", ".join(sorted(one.name for one in present.values())) or "none"
        raise NotFound(f"No community {written[:100]!r} was accepted here. Accepted: {known}.")
    return named[0]


def _signed(draft: Roster, convener: Convener) -> bytes:
    # Whoever founds a community need not be one of its stewards.
    signer = convener.steward(draft.charter) or convener.signers[convener.public]
    raw = roster.draft(draft, signer)
    try:
        roster.peek(raw)
    except Refused as refused:
        raise FlowError(f"No node would accept this: {refused}") from refused
    return raw


def _latest(conn: Connection, written: str) -> KeptRoster:
    (found,) = communities.latest(conn, [accepted(conn, written).id])
    return found


def _steward_of(convener: Convener, kept: KeptRoster) -> KnownRoster:
    known = roster.read(kept.envelope)
    if convener.steward(known.roster.charter) is None:
        raise FlowError(
            f"This member is not a steward of {kept.name}: ask one of its stewards for the next roster."
        )
    return known


def _check_follows(conn: Connection, wanted: Roster, raw: bytes) -> None:
    """Raise FlowError unless a roster follows the one held here: stewards who hold different ones must find out."""
    name, held = wanted.charter.name, communities.latest(conn, [wanted.charter.community])
    if not held and wanted.number > 1:
        raise FlowError(
            f"This node holds no roster of {name}: accept the one before number {wanted.number} first."
        )
    if held and roster.digest(raw) != held[0].hash:
        fault = roster.misfit(roster.read(held[0].envelope), wanted)
        if fault:
            raise FlowError(
                f"Not signed. {fault} Compare with the other stewards of {name} which is the latest."
            )


def _joining(conn: Connection, convener: Convener, members: Members, before: Roster, name: str) -> str:
    """Return the id of a peer that is confirmed, or of who is a member already."""
    try:
        there = names.member(conn, convener.member, members, name)
    except FlowError:
        there = ""
    return there if there in before.members else _who(conn, convener, name).member


def _chosen(conn: Connection, choice: Choice) -> dict[str, str]:
    """Return the ids of the chosen members, each with how it was written."""
    return {names.member(conn, choice.own, choice.members, name): name for name in choice.written}


def _require(there: Collection[str], wanted: Mapping[str, str], words: str) -> None:
    for member, name in wanted.items():
        if member not in there:
            raise FlowError(f"{name[:100] or 'A member without a name'} {words}.")


def _who(conn: Connection, convener: Convener, name: str) -> _Party:
    if name in {"self", convener.name}:
        return _Party(convener.member, convener.public)
    try:
        peer = peers.by_name(conn, name)
    except NotFound:
        raise FlowError(f"There is no peer {name!r}: link its node first.") from None
    if peer.state is not PeerState.ACTIVE:
        raise FlowError(f"{name} is {peer.state.value}: confirm it first.")
    return _Party(peer.member, document.read(peer.document).document.signing_keys[0])
