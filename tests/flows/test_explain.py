"""Who gets an object and who does not: the kernel's answer beside what is recorded, whatever has happened."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import (
    PRISTINA,
    VIENNA,
    Station,
    alliance,
    deliver,
    found,
    pack,
    told,
)
from tests.stix.examples import RED

from lezha.access.rights import Role
from lezha.flows import constituents, explain, ingest, share
from lezha.flows.explain import Answer, Explanation, Version
from lezha.node.clock import later, utc_now
from lezha.sharing.release import Reason, Recipient, Standing
from lezha.sharing.remedies import remedy
from lezha.sharing.tlp import Pap, Tlp
from lezha.stix import bundle, encode
from lezha.store import constituents as kept
from lezha.store import peers, tokens, views
from lezha.store.errors import NotFound
from lezha.store.log import Log
from lezha.store.peers import PeerState

ID = told(TIRANA, 1)["id"]


@pytest.fixture
async def tirana(station: Callable[..., Station]) -> Station:
    """Tirana, linked to Podgorica, Pristina and Vienna; NATO is Tirana and Podgorica."""
    here, others = station(TIRANA), [station(one) for one in (PODGORICA, PRISTINA, VIENNA)]
    await here.links(*others)
    await found("NATO", here, others[0])
    return here


def explained(here: Station, stix_id: str = ID, peer: str = "", now: str = "") -> Explanation:
    with here.log.read() as conn:
        return explain.explain(conn, here.member, stix_id, now or utc_now(), peer)


def only(here: Station, **more: Any) -> Version:
    (version,) = explained(here, **more).versions
    return version


def answers(version: Version) -> dict[str, Answer]:
    return {one.name: one for one in version.recipients}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words_a_clause_and_what_can_be_done(reason: Reason) -> None:
    assert reason.words
    assert reason.clause.startswith("docs/design.md, ")
    assert remedy(reason).endswith(".")


async def delivered(here: Station, there: Station) -> None:
    """Have `there` brought up to date, and its receipt kept as a link does."""
    receipt = await deliver(here, there)
    await here.log.write(
        lambda tx: views.keep_receipt(tx, there.member, receipt.head, b"receipt", receipt.refused)
    )


async def test_each_recipient_is_told_by_which_rule_and_clause(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1), to=["NATO"], tlp=Tlp.AMBER)
    seen = answers(only(tirana))
    assert {name: (one.may, one.because.code) for name, one in seen.items()} == {
        "own systems": (True, ""),
        "podgorica": (True, ""),
        "pristina": (False, "not_in_audience"),
        "vienna": (False, "not_in_audience"),
    }
    assert seen["podgorica"].because.words == "member of NATO, roster 1"
    assert seen["podgorica"].words == "will get it once its link has looked at it"
    assert seen["vienna"].because.clause == Reason.NOT_IN_AUDIENCE.clause
    assert seen["vienna"].because.remedy
    assert seen["vienna"].words == f"does not get it: {Reason.NOT_IN_AUDIENCE.words}"


async def test_a_statement_is_told_in_names(tirana: Station) -> None:
    expires = later(utc_now(), days=3)
    await tirana.publish(
        told(TIRANA, 1, object_marking_refs=[RED]),
        to=["NATO", "vienna"],
        tlp=Tlp.GREEN,
        pap=Pap.AMBER,
        onward=True,
        future_members=True,
        expires=expires,
    )
    version = only(tirana)
    (word,) = version.statements
    assert (word.by, word.own, word.audience) == ("self", True, ("NATO", "vienna"))
    assert (word.tlp, word.effective_tlp, word.pap) == ("green", "red", "amber")
    assert (word.onward, word.future_members, word.expires) == (True, True, expires)
    assert [(one.id, one.tlp) for one in version.markings] == [(RED, "red")]


async def test_a_marking_that_cannot_be_read_is_named(tirana: Station) -> None:
    unknown = "marking-definition--00000000-0000-4000-8000-000000000000"
    await tirana.publish(told(TIRANA, 1, object_marking_refs=[unknown]))
    version = only(tirana)
    assert [(one.id, one.tlp) for one in version.markings] == [(unknown, "")]
    # It can say no more than RED, so own systems that are cleared to that have it.
    assert {one.because.code for one in version.recipients if one.standing == "member"} == {
        "unreadable_marking"
    }
    assert {one.may for one in version.recipients if one.standing == "own"} == {True}


async def test_a_marking_that_its_author_explains_is_read(tirana: Station) -> None:
    known = "marking-definition--00000000-0000-4000-8000-000000000001"
    definition = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": known,
        "created": "2022-07-01T00:00:00.000Z",
        "definition_type": "statement",
        "definition": {"statement": "Copyright 2022, somebody."},
    }
    await tirana.publish(definition, told(TIRANA, 1, object_marking_refs=[known]))
    version = only(tirana)
    assert [one.words for one in version.markings] == [
        "read by the definition that its author sent beside it"
    ]
    assert {one.because.code for one in version.recipients} == {""}


async def test_any_one_statement_that_releases_suffices_and_each_is_told(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1), to=["podgorica"])
    await tirana.publish(told(TIRANA, 1), to=["vienna"])
    seen = answers(only(tirana))
    assert [(one.released, one.code) for one in seen["vienna"].decisions] == [
        (False, "not_in_audience"),
        (True, ""),
    ]
    assert (seen["vienna"].may, seen["pristina"].may) == (True, False)
    assert seen["vienna"].because.words == "named in the audience"


async def test_what_is_recorded_stands_beside_what_is_so_now(station: Callable[..., Station]) -> None:
    here, there, other = station(TIRANA), station(PODGORICA), station(VIENNA)
    await alliance(here, there, other)
    await here.publish(told(TIRANA, 1), to=["podgorica"])
    await here.withheld(other)
    await pack(here, there)
    seen = answers(only(here))
    assert [one.state for one in seen["podgorica"].recorded] == ["offered"]
    assert seen["podgorica"].words == "on its way"
    assert [(one.state, one.words) for one in seen["vienna"].recorded] == [
        ("withheld", Reason.NOT_IN_AUDIENCE.words)
    ]
    await delivered(here, there)
    (done,) = answers(only(here))["podgorica"].recorded
    assert (done.state, done.number, done.words) == ("received", 1, "named in the audience")
    assert answers(only(here))["podgorica"].words == "has it"


async def test_who_has_what_it_would_not_get_now_is_told_so(station: Callable[..., Station]) -> None:
    here, there = station(TIRANA), station(PODGORICA)
    await alliance(here, there)
    await here.publish(told(TIRANA, 1), to=["podgorica"])
    await delivered(here, there)
    await here.log.write(lambda tx: peers.set_state(tx, there.member, PeerState.SUSPENDED, "test"))
    answer = answers(only(here))["podgorica"]
    assert (answer.may, answer.state) == (False, "suspended")
    assert answer.words == "has it, and would not get it now: the recipient is suspended"


async def test_who_was_told_of_a_recall_has_it_no_more(station: Callable[..., Station]) -> None:
    here, there = station(TIRANA), station(PODGORICA)
    await alliance(here, there)
    await constituents.admit(here.log, "bank", "", Tlp.AMBER, "officer")
    with here.log.read() as conn:
        bank = kept.by_name(conn, "bank").recipient()
    await here.publish(told(TIRANA, 1))
    await delivered(here, there)
    await share.decide(here.log, bank)
    await here.recall(ID)
    words = "has it, and would not get it now: its author has recalled it"
    assert {answers(only(here))[name].words for name in ("bank", "podgorica")} == {words}
    await delivered(here, there)
    await share.decide(here.log, bank)
    seen = answers(only(here))
    words = "was given it, and told since that it does not count any more: its author has recalled it"
    assert {seen[name].words for name in ("bank", "podgorica")} == {words}
    assert [one.state for one in seen["bank"].recorded] == ["given", "withdrawn"]
    await here.publish(told(TIRANA, 1))
    await share.decide(here.log, bank)
    await delivered(here, there)
    assert {answers(only(here))[name].words for name in ("bank", "podgorica")} == {"has it"}


async def test_what_a_peer_refused_is_told_in_words(station: Callable[..., Station]) -> None:
    here, there, other = station(TIRANA), station(PODGORICA), station(VIENNA)
    await alliance(here, there)
    await here.links(other)
    await other.links(here)
    await other.publish(told(VIENNA, 1), onward=True, tlp=Tlp.CLEAR)
    await deliver(other, here)
    await delivered(here, there)
    [one] = answers(only(here, stix_id=told(VIENNA, 1)["id"]))["podgorica"].recorded
    assert (one.state, one.words) == (
        "refused",
        "it knows no key of whoever signed this: the author is no peer there, or has new keys (unknown_key)",
    )


async def test_the_answer_is_that_of_now_not_of_then(tirana: Station) -> None:
    expires = later(utc_now(), days=3)
    await tirana.publish(told(TIRANA, 1), to=["podgorica"], expires=expires)
    assert answers(only(tirana))["podgorica"].may
    assert answers(only(tirana, now=later(utc_now(), days=4)))["podgorica"].because.code == "expired"


async def test_what_others_signed_is_explained_by_the_tlp_clause(station: Callable[..., Station]) -> None:
    here, there, other = station(TIRANA), station(PODGORICA), station(VIENNA)
    await alliance(here, there, other)
    await here.publish(told(TIRANA, 1), to=["everyone"], tlp=Tlp.CLEAR, onward=True)
    await here.publish(told(TIRANA, 2), to=["everyone"], tlp=Tlp.CLEAR)
    await deliver(here, there)
    first, second = (answers(only(there, stix_id=told(TIRANA, number)["id"])) for number in (1, 2))
    assert first["vienna"].because.clause == "docs/design.md, Release; TLP 2.0, TLP:CLEAR"
    assert (first["tirana"].because.code, second["vienna"].because.code) == ("came_from_there", "not_onward")
    (word,) = only(there).statements
    assert (word.by, word.own, word.came_from) == ("tirana", False, ("tirana",))


async def test_what_was_brought_without_a_statement_is_for_own_systems(tirana: Station) -> None:
    raw = bundle.write([encode(told(TIRANA, 1))])
    await ingest.take(tirana.log, tirana.members, tirana.member, raw, "test")
    version = only(tirana)
    assert version.statements == ()
    assert {name: one.because.code for name, one in answers(version).items()} == {
        "own systems": "",
        "podgorica": "no_statement",
        "pristina": "no_statement",
        "vienna": "no_statement",
    }


async def test_what_came_only_beside_something_else_is_explained_too(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1))
    version = only(tirana, stix_id=TIRANA.member)
    assert {one.because.code for one in version.recipients} == {"", "no_statement"}


async def test_sensors_are_recipients_with_what_they_were_given(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1), to=["NATO"])
    await tirana.log.write(lambda tx: tokens.add(tx, "abc", "zeek", Role.SENSOR, "0" * 64, "test"))
    await tirana.log.write(lambda tx: tokens.add(tx, "def", "gone", Role.SENSOR, "0" * 64, "test"))
    await tirana.log.write(lambda tx: tokens.revoke(tx, "gone", "test"))
    await share.decide(tirana.log, Recipient("sensor:abc", Standing.OWN, Tlp.RED))
    seen = answers(only(tirana))
    assert [name for name in seen if name.startswith("sensor")] == ["sensor zeek"]
    assert [one.state for one in seen["sensor zeek"].recorded] == ["given"]


async def test_one_recipient_alone_may_be_asked_for(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1), to=["NATO"])
    assert list(answers(only(tirana, peer="vienna"))) == ["vienna"]
    with pytest.raises(
        NotFound, match=r"'atlantis' here\. There are: own systems, podgorica, pristina, vienna"
    ):
        explained(tirana, peer="atlantis")
    with pytest.raises(NotFound, match="No object indicator--"):
        explained(tirana, "indicator--00000099-0000-4000-8000-000000000000")


async def test_each_version_has_an_explanation_of_its_own(tirana: Station) -> None:
    await tirana.publish(told(TIRANA, 1), to=["podgorica"])
    await tirana.publish(told(TIRANA, 1, modified="2030-01-01T00:00:00.000Z"), to=["vienna"])
    newest, first = explained(tirana).versions
    assert [one.name for one in newest.recipients if one.may] == ["own systems", "vienna"]
    assert [one.name for one in first.recipients if one.may] == ["own systems", "podgorica"]


async def test_statements_beyond_a_number_are_counted_and_own_ones_come_first(
    tirana: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain, "MOST", 2)
    for to in ("podgorica", "vienna", "pristina"):
        await tirana.publish(told(TIRANA, 1), to=[to])
    version = only(tirana)
    assert (len(version.statements), version.left_out) == (2, 1)


async def test_it_is_the_same_on_both_engines(log: Log) -> None:
    here = Station(TIRANA, log)
    await here.links(Station(PODGORICA, log), Station(VIENNA, log))
    await here.publish(told(TIRANA, 1), to=["podgorica"])
    await here.withheld(Station(VIENNA, log))
    await share.decide(log, here.peer(Station(PODGORICA, log)).recipient())
    seen = answers(only(here))
    assert {name: [one.state for one in answer.recorded] for name, answer in seen.items()} == {
        "own systems": [],
        "podgorica": ["offered"],
        "vienna": ["withheld"],
    }
