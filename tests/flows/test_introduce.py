"""Two strange nodes become peers; and whoever tries it otherwise does not."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace
from tests.federation.keys import MALLORY, PODGORICA, TIRANA
from tests.flows.alliance import NAMES, VIENNA, Station

from lezha.federation import document, enrolment, envelope
from lezha.federation.client import PeerClient
from lezha.federation.enrolment import Commit, Committed, Offer, Reveal
from lezha.federation.errors import EnrolmentError, FederationError, NotTakenUp
from lezha.flows import introduce
from lezha.flows.errors import FlowError
from lezha.flows.introduce import Host
from lezha.node.clock import later, utc_now
from lezha.sharing.tlp import Tlp
from lezha.store import schema
from lezha.store.errors import NotFound, StoreError
from lezha.store.log import Log
from lezha.store.peers import PeerState

Two = tuple[Station, Station]
NAMES[MALLORY.member] = "mallory"
COMMITMENT = enrolment.commitment("01" * 32, b"document")


class Wire(PeerClient):
    """The invited node's connection to the inviter, without the network. What goes over it can be changed."""

    def __init__(self, inviter: Station) -> None:
        self.inviter = inviter
        self.on_reveal: Callable[[Reveal], Reveal] = lambda message: message
        self.on_committed: Callable[[Committed], Committed] = lambda message: message

    async def commit(self, message: Commit) -> Committed:
        return self.on_committed(await introduce.committed(self.inviter.log, message))

    async def reveal(self, message: Reveal) -> None:
        await introduce.revealed(self.inviter.log, self.inviter.host, self.on_reveal(message))


@pytest.fixture
async def two(station: Callable[..., Station]) -> Two:
    """Tirana, which invites, and Podgorica."""
    return station(TIRANA), station(PODGORICA)


async def invite(inviter: Station, name: str = "podgorica", expires: str = "") -> Offer:
    text = await introduce.invite(
        inviter.log, inviter.host, name, expires or later(utc_now(), hours=1), "test"
    )
    return enrolment.read_offer(text)


async def accept(
    invited: Station, inviter: Station, offer: Offer, wire: Wire | None = None, name: str = ""
) -> str:
    wire = wire or Wire(inviter)
    return await introduce.accept(
        invited.log, invited.host, offer, inviter.host.known, wire, name, actor="test"
    )


def known(here: Station) -> list[tuple[str, str, str]]:
    return here.rows(schema.peers, "member", "name", "state")


# --- as it should be ------------------------------------------------------------------------------------------------


async def test_an_invitation_says_where_to_go_and_whom_to_expect(two: Two) -> None:
    tirana, _ = two
    offer = await invite(tirana)
    assert (offer.endpoint, offer.document) == (tirana.document.endpoints[0], tirana.host.known.digest)


async def test_two_nodes_are_introduced_and_wait_for_their_officers(two: Two) -> None:
    tirana, podgorica = two
    await accept(podgorica, tirana, await invite(tirana))
    assert known(tirana) == [(PODGORICA.member, "podgorica", "pending")]
    assert known(podgorica) == [(TIRANA.member, "tirana", "pending")]


async def test_both_sides_show_the_same_phrase(two: Two) -> None:
    tirana, podgorica = two
    phrase = await accept(podgorica, tirana, await invite(tirana))
    assert tirana.peer(podgorica).phrase == podgorica.peer(tirana).phrase == phrase


async def test_with_the_phrase_both_become_active(two: Two) -> None:
    tirana, podgorica = two
    phrase = await accept(podgorica, tirana, await invite(tirana))
    await introduce.confirm(tirana.log, "podgorica", phrase, "test")
    await introduce.confirm(podgorica.log, "tirana", phrase.replace(" ", ""), "test")
    assert tirana.peer(podgorica).state is podgorica.peer(tirana).state is PeerState.ACTIVE


async def test_the_invited_may_call_the_inviter_as_it_likes(two: Two) -> None:
    tirana, podgorica = two
    await accept(podgorica, tirana, await invite(tirana), name="shqiperia")
    assert known(podgorica) == [(TIRANA.member, "shqiperia", "pending")]


async def test_nodes_are_introduced_on_both_engines(log: Log, station: Callable[..., Station]) -> None:
    tirana, podgorica = Station(TIRANA, log), station(PODGORICA)
    phrase = await accept(podgorica, tirana, await invite(tirana))
    await introduce.confirm(tirana.log, "podgorica", phrase, "test")
    assert known(tirana) == [(PODGORICA.member, "podgorica", "active")]


async def test_a_name_that_is_taken_is_noticed_before_an_invitation_is_used_up(
    two: Two, station: Callable[..., Station]
) -> None:
    tirana, podgorica = two
    await podgorica.links(station(MALLORY))
    offer = await invite(tirana)
    with pytest.raises(FlowError, match="choose another name"):
        await accept(podgorica, tirana, offer, name="mallory")
    await accept(podgorica, tirana, offer, name="tirana")


async def test_the_secret_of_an_invitation_is_kept_nowhere(two: Two) -> None:
    tirana, _ = two
    offer = await invite(tirana)
    kept = repr([tirana.rows(table, *table.c.keys()) for table in schema.metadata.sorted_tables])
    assert offer.id in kept
    assert offer.secret not in kept


# --- invitations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"secret": "00" * 16}, {"secret": ""}, {"id": "nowhere"}])
async def test_without_the_secret_nobody_comes_in(two: Two, changes: dict[str, str]) -> None:
    tirana, podgorica = two
    offer = await invite(tirana)
    with pytest.raises(EnrolmentError, match="no such invitation"):
        await accept(podgorica, tirana, replace(offer, **changes))
    assert known(tirana) == known(podgorica) == []


async def test_a_wrong_secret_does_not_use_the_invitation_up(two: Two) -> None:
    tirana, podgorica = two
    offer = await invite(tirana)
    with pytest.raises(EnrolmentError):
        await accept(podgorica, tirana, replace(offer, secret="00" * 16))
    await accept(podgorica, tirana, offer)


async def test_an_invitation_is_for_one(two: Two, station: Callable[..., Station]) -> None:
    tirana, podgorica = two
    offer = await invite(tirana)
    await accept(podgorica, tirana, offer)
    with pytest.raises(EnrolmentError, match="used"):
        await accept(station(MALLORY), tirana, offer)
    assert known(tirana) == [(PODGORICA.member, "podgorica", "pending")]


async def test_who_has_committed_cannot_commit_again_to_something_else(two: Two) -> None:
    # Otherwise it could try documents until the phrase fits.
    tirana, _ = two
    offer = await invite(tirana)
    await introduce.committed(tirana.log, Commit(offer.id, offer.secret, COMMITMENT))
    with pytest.raises(EnrolmentError, match="used already"):
        await introduce.committed(tirana.log, Commit(offer.id, offer.secret, COMMITMENT))


async def test_an_expired_invitation_is_none(two: Two) -> None:
    tirana, podgorica = two
    offer = await invite(tirana, expires=utc_now())
    with pytest.raises(EnrolmentError, match="expired"):
        await accept(podgorica, tirana, offer)


async def test_an_invitation_that_expires_between_the_steps_is_none(two: Two) -> None:
    tirana, podgorica = two
    offer = await invite(tirana)
    wire = Wire(tirana)
    table = schema.invitations

    def expire(message: Reveal) -> Reveal:
        tirana.log.write_now(lambda tx: tx.conn.execute(table.update().values(expires=tx.at)))
        return message

    wire.on_reveal = expire
    with pytest.raises(EnrolmentError, match="expired"):
        await accept(podgorica, tirana, offer, wire)
    assert known(tirana) == []


async def test_the_document_is_shown_to_the_holder_of_an_open_invitation_only(two: Two) -> None:
    tirana, podgorica = two
    offer = await invite(tirana)
    with tirana.log.read() as conn:
        introduce.check_open(conn, offer.id, utc_now())
        for stranger, now in (("nowhere", utc_now()), (offer.id, later(utc_now(), hours=2))):
            with pytest.raises(EnrolmentError):
                introduce.check_open(conn, stranger, now)
    await accept(podgorica, tirana, offer)
    with tirana.log.read() as conn, pytest.raises(EnrolmentError):
        introduce.check_open(conn, offer.id, utc_now())


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 61, "-", "pod\n"])
async def test_a_name_that_could_not_be_typed_is_refused(two: Two, name: str) -> None:
    with pytest.raises(FlowError, match="can't name a peer"):
        await invite(two[0], name)


@pytest.mark.parametrize("name", ["everyone", "SELF", "p\u043edgorica"])
async def test_a_name_that_could_be_taken_for_another_is_refused(two: Two, name: str) -> None:
    with pytest.raises(FlowError, match="can't name a peer"):
        await invite(two[0], name)


async def test_two_names_may_not_differ_by_case_alone(two: Two) -> None:
    tirana, podgorica = two
    await accept(podgorica, tirana, await invite(tirana))
    with pytest.raises(FlowError, match="already"):
        await invite(tirana, "PODGORICA")


async def test_a_node_without_an_endpoint_cannot_invite(two: Two) -> None:
    tirana, _ = two
    document = replace(tirana.document, endpoints=("",))
    host = replace(tirana.host, known=replace(tirana.host.known, document=document))
    with pytest.raises(FlowError, match="no endpoint"):
        await introduce.invite(tirana.log, host, "podgorica", later(utc_now(), hours=1), "test")


# --- somebody in between --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("commitment", ["", "0" * 63, "0" * 65, "z" * 64, "ë" * 64])
async def test_a_commitment_that_is_none_is_refused(two: Two, commitment: str) -> None:
    tirana, _ = two
    offer = await invite(tirana)
    with pytest.raises(EnrolmentError, match="malformed"):
        await introduce.committed(tirana.log, Commit(offer.id, offer.secret, commitment))


async def test_what_is_revealed_must_be_what_was_committed_to(
    two: Two, station: Callable[..., Station]
) -> None:
    tirana, podgorica = two
    mallory = station(MALLORY).host.known.raw.decode()
    changes: list[Callable[[Reveal], Reveal]] = [
        lambda message: replace(message, nonce="02" * 32),
        lambda message: replace(message, document=mallory),
    ]
    for change in changes:
        wire = Wire(tirana)
        wire.on_reveal = change
        with pytest.raises(EnrolmentError, match="not what was committed to"):
            await accept(podgorica, tirana, await invite(tirana), wire)
    assert known(tirana) == known(podgorica) == []


async def test_nothing_can_be_revealed_before_it_was_committed_to(two: Two) -> None:
    tirana, podgorica = two
    offer = await invite(tirana)
    document = podgorica.host.known.raw.decode()
    with pytest.raises(EnrolmentError, match="not what was committed to"):
        await introduce.revealed(tirana.log, tirana.host, Reveal(offer.id, offer.secret, "01" * 32, document))


async def test_a_random_number_that_was_replaced_is_heard_in_the_phrase(two: Two) -> None:
    tirana, podgorica = two
    wire = Wire(tirana)
    wire.on_committed = lambda message: replace(message, nonce="02" * 32)
    phrase = await accept(podgorica, tirana, await invite(tirana), wire)
    assert tirana.peer(podgorica).phrase != phrase
    with pytest.raises(FlowError, match="somebody stands in between"):
        await introduce.confirm(tirana.log, "podgorica", phrase, "test")


async def test_two_introductions_of_one_man_in_the_middle_have_two_phrases(
    two: Two, station: Callable[..., Station]
) -> None:
    # Mallory has the invitation and answers in Tirana's stead, towards Tirana in Podgorica's.
    tirana, podgorica = two
    mallory = station(MALLORY)
    towards_tirana = await accept(mallory, tirana, await invite(tirana))
    towards_podgorica = await accept(podgorica, mallory, await invite(mallory))
    assert towards_tirana != towards_podgorica


@pytest.mark.parametrize("nonce", ["", "0" * 63, "Z" * 64, "ë" * 64, "0x" + "0" * 62])
async def test_a_random_number_that_is_none_is_refused(two: Two, nonce: str) -> None:
    tirana, podgorica = two
    wire = Wire(tirana)
    wire.on_committed = lambda message: replace(message, nonce=nonce)
    with pytest.raises(EnrolmentError, match="malformed"):
        await accept(podgorica, tirana, await invite(tirana), wire)


async def test_a_document_that_is_none_is_refused(two: Two) -> None:
    tirana, _ = two
    offer = await invite(tirana)
    await introduce.committed(tirana.log, Commit(offer.id, offer.secret, COMMITMENT))
    with pytest.raises(FederationError):
        await introduce.revealed(
            tirana.log, tirana.host, Reveal(offer.id, offer.secret, "01" * 32, "document")
        )


async def test_a_node_is_not_introduced_to_itself(two: Two) -> None:
    tirana, _ = two
    with pytest.raises(NotTakenUp) as refused:
        await accept(tirana, tirana, await invite(tirana, "mirror"))
    assert refused.value.why == "That is this node itself."


async def test_a_refusal_tells_the_invited_nothing_of_the_inviters_peers(
    two: Two, station: Callable[..., Station]
) -> None:
    """The name may be taken meanwhile, or a stranger may claim to be a member that it takes for a peer there."""
    tirana, podgorica = two
    offers = [await invite(tirana, "vienna"), await invite(tirana, "skopje")]
    vienna = station(VIENNA)
    await tirana.links(vienna)
    with_other_root(vienna)
    told = []
    for offer, stranger in zip(offers, (podgorica, vienna), strict=True):
        with pytest.raises(NotTakenUp) as refused:
            await accept(stranger, tirana, offer)
        told.append((str(refused.value), refused.value.why))
    assert {said for said, _ in told} == {
        "The inviting node can't take this up; its log says why. Ask the officer who invited."
    }
    assert [why for _, why in told] == [
        "There is a peer 'vienna' already: choose another name.",
        "That member is a peer here already, under another name: invite it anew under that one.",
    ]
    assert known(tirana) == [(VIENNA.member, "vienna", "active")]


async def test_a_member_that_is_a_peer_already_is_not_introduced_again(two: Two) -> None:
    tirana, podgorica = two
    await accept(podgorica, tirana, await invite(tirana))
    with pytest.raises(EnrolmentError):
        await accept(podgorica, tirana, await invite(tirana, "again"), name="again")
    assert known(tirana) == [(PODGORICA.member, "podgorica", "pending")]


# --- afterwards -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phrase", ["", "00000 00000 00000", "Let me in"])
async def test_a_wrong_phrase_confirms_nothing(two: Two, phrase: str) -> None:
    tirana, podgorica = two
    await accept(podgorica, tirana, await invite(tirana))
    with pytest.raises(FlowError, match="not the phrase of podgorica"):
        await introduce.confirm(tirana.log, "podgorica", phrase, "test")
    assert tirana.peer(podgorica).state is PeerState.PENDING


async def test_what_is_active_is_not_confirmed_again(two: Two) -> None:
    tirana, podgorica = two
    phrase = await accept(podgorica, tirana, await invite(tirana))
    await introduce.confirm(tirana.log, "podgorica", phrase, "test")
    with pytest.raises(FlowError, match="active, not pending"):
        await introduce.confirm(tirana.log, "podgorica", phrase, "test")


async def test_a_peer_is_suspended_and_resumed(two: Two) -> None:
    tirana, podgorica = two
    await tirana.links(podgorica)
    for state in (PeerState.SUSPENDED, PeerState.ACTIVE):
        assert (await introduce.change(tirana.log, "podgorica", state, "test")).state is state
    with pytest.raises(FlowError, match="active, not suspended"):
        await introduce.change(tirana.log, "podgorica", PeerState.ACTIVE, "test")


async def test_a_pending_peer_cannot_be_made_active_without_the_phrase(two: Two) -> None:
    tirana, podgorica = two
    await accept(podgorica, tirana, await invite(tirana))
    with pytest.raises(FlowError, match="pending, not suspended"):
        await introduce.change(tirana.log, "podgorica", PeerState.ACTIVE, "test")


async def test_only_a_peer_that_was_never_confirmed_is_forgotten(two: Two) -> None:
    tirana, podgorica = two
    phrase = await accept(podgorica, tirana, await invite(tirana))
    await introduce.forget(tirana.log, "podgorica", "test")
    assert known(tirana) == []
    await introduce.confirm(podgorica.log, "tirana", phrase, "test")
    with pytest.raises(FlowError, match="suspend it instead"):
        await introduce.forget(podgorica.log, "tirana", "test")
    with pytest.raises((NotFound, StoreError)):
        await introduce.forget(podgorica.log, "nobody", "test")


# --- meeting again --------------------------------------------------------------------------------------------------


def with_other_root(one: Station, **changes: object) -> None:
    """Have a station show a later document, with a root that nobody has vouched for."""
    root = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
    plain = {"root": envelope.public_hex(root), "number": 2}
    written = replace(one.document, **(plain | changes))
    one.host = Host(document.read(document.sign(written, envelope.signer(root))), Tlp.STRICT)


async def met(tirana: Station, podgorica: Station) -> None:
    phrase = await accept(podgorica, tirana, await invite(tirana))
    await introduce.confirm(tirana.log, "podgorica", phrase, "test")
    await introduce.confirm(podgorica.log, "tirana", phrase, "test")


async def again(tirana: Station) -> Offer:
    expires = later(utc_now(), hours=1)
    return enrolment.read_offer(
        await introduce.invite(tirana.log, tirana.host, "podgorica", expires, "test", again=True)
    )


async def test_a_peer_that_lost_its_root_is_met_again_and_known_once_the_phrase_is_confirmed(
    two: Two,
) -> None:
    tirana, podgorica = two
    await met(tirana, podgorica)
    with_other_root(podgorica)
    phrase = await accept(podgorica, tirana, await again(tirana))
    with tirana.log.read() as conn:
        assert introduce.phrase_of(conn, "podgorica") == (tirana.peer(podgorica), phrase)
    assert tirana.peer(podgorica).number == 1, "not before the phrase is confirmed"
    with pytest.raises(FlowError, match="not the phrase"):
        await introduce.confirm(tirana.log, "podgorica", "00000 00000 00000", "test")
    confirmed = await introduce.confirm(tirana.log, "podgorica", phrase, "test")
    assert (confirmed.number, confirmed.state) == (2, PeerState.ACTIVE)
    assert confirmed.document == podgorica.host.known.raw
    with pytest.raises(FlowError, match="active, not pending"):
        await introduce.confirm(tirana.log, "podgorica", phrase, "test")


async def test_the_inviter_that_lost_its_root_is_met_again_too(two: Two) -> None:
    tirana, podgorica = two
    await met(tirana, podgorica)
    with_other_root(tirana)
    phrase = await accept(podgorica, tirana, await again(tirana))
    confirmed = await introduce.confirm(podgorica.log, "tirana", phrase, "test")
    assert (confirmed.number, known(podgorica)) == (2, [(TIRANA.member, "tirana", "active")])


@pytest.mark.parametrize("changes", [{"identity": PODGORICA.identity("Somebody else")}, {"number": 0}])
async def test_whoever_shows_another_identity_or_an_older_document_is_not_met_again(
    two: Two, changes: dict[str, object]
) -> None:
    tirana, podgorica = two
    await met(tirana, podgorica)
    with_other_root(podgorica, **changes)
    with pytest.raises(EnrolmentError):
        await accept(podgorica, tirana, await again(tirana))
    assert tirana.peer(podgorica).number == 1


async def test_an_invitation_for_a_new_peer_is_none_for_one_that_is_there(two: Two) -> None:
    tirana, podgorica = two
    await met(tirana, podgorica)
    with_other_root(podgorica)
    with pytest.raises(NotTakenUp) as refused:
        await accept(podgorica, tirana, await invite(tirana, "skopje"))
    assert "under another name" in refused.value.why
    with pytest.raises(NotFound):
        await introduce.invite(tirana.log, tirana.host, "skopje", utc_now(), "test", again=True)


async def test_whoever_has_no_endpoint_does_not_invite(two: Two) -> None:
    tirana, _ = two
    tirana.host = Host(document.read(TIRANA.document(endpoints=())), Tlp.STRICT)
    with pytest.raises(FlowError, match="let the other one invite"):
        await invite(tirana)
