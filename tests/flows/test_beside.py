"""What travels beside an object: its creator's identity, and the definitions that say what its own markings mean."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import VIENNA, Station, alliance, batch, deliver, said, stream, take, told
from tests.stix.examples import versioned

from lezha.federation.frame import Parcel
from lezha.flows import ingest, share
from lezha.flows.publish import preview
from lezha.node.clock import utc_now
from lezha.sharing.release import Recipient, Standing, effective_pap
from lezha.sharing.tlp import Pap, Tlp
from lezha.stix import bundle, encode
from lezha.stix.markings import TLP2_IDS
from lezha.store import contents, schema, statements, views

VENDOR = "identity--00000000-0000-4000-8000-00000000c15a"
SENSOR = Recipient("sensor:1", Standing.OWN, Tlp.RED)
Three = tuple[Station, Station, Station]


@pytest.fixture
async def three(station: Callable[..., Station]) -> Three:
    """Tirana, Podgorica and Vienna, who all know one another."""
    stations = station(TIRANA), station(PODGORICA), station(VIENNA)
    await alliance(*stations)
    return stations


def definition(text: str, number: int = 1, **changes: Any) -> dict[str, Any]:
    """A marking definition that is a statement."""
    return {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": marking_id(number),
        "created": "2022-07-01T00:00:00.000Z",
        "definition_type": "statement",
        "definition": {"statement": text},
        **changes,
    }


def marking_id(number: int = 1) -> str:
    return f"marking-definition--{number:08d}-0000-4000-8000-000000000000"


def marked(*numbers: int, **changes: Any) -> dict[str, Any]:
    """An indicator of Tirana's with markings of those numbers."""
    return told(TIRANA, 1, object_marking_refs=[marking_id(number) for number in numbers], **changes)


def vendor(name: str, **changes: Any) -> dict[str, Any]:
    """The identity of somebody without a node."""
    return dict(json.loads(versioned("identity", id=VENDOR, name=name, **changes)))


async def brought(station: Station, *objects: dict[str, Any]) -> None:
    """Bring objects into the log without a statement."""
    await ingest.take(
        station.log, station.members, station.member, bundle.write([encode(one) for one in objects]), "test"
    )


async def reason(here: Station, to: Station) -> str:
    """Why the indicator is withheld from a peer; empty if it is told."""
    return (await here.withheld(to)).get(told(TIRANA, 1)["id"], "")


def facts_of(here: Station) -> Any:
    with here.log.read() as conn:
        return statements.facts(conn, statements.about(conn, told(TIRANA, 1)["id"]))


async def test_a_marking_for_people_to_read_travels_beside_what_it_marks(three: Three) -> None:
    tirana, podgorica, vienna = three
    copyright_ = definition("Copyright 2022, somebody. Use as you like.")
    await brought(tirana, copyright_)
    done = await tirana.publish(marked(1), onward=True, to=["everyone"], tlp=Tlp.CLEAR)
    assert not any(one.code == "unreadable_marking" for one in done.warnings)
    assert (await deliver(tirana, podgorica)).refused == ()
    assert podgorica.bytes_of(copyright_["id"]) == [encode(copyright_)]
    # And on, though Vienna was never told of the definition by itself.
    assert (await deliver(podgorica, vienna)).refused == ()
    assert vienna.bytes_of(copyright_["id"]) == [encode(copyright_)]


async def test_a_marking_whose_definition_is_not_held_goes_to_nobody(three: Three) -> None:
    tirana, podgorica, _ = three
    done = await tirana.publish(marked(1))
    assert any(one.code == "unreadable_marking" for one in done.warnings)
    assert await reason(tirana, podgorica) == "unreadable_marking"


async def test_what_could_not_be_read_is_signed_anew_once_its_definition_is_there(three: Three) -> None:
    tirana, podgorica, _ = three
    await tirana.publish(marked(1))
    await brought(tirana, definition("for all"))
    await tirana.publish(marked(1))
    await deliver(tirana, podgorica)
    assert podgorica.holds(marked(1)["id"]) == [True]


@pytest.mark.parametrize(
    ("text", "tlp", "pap"),
    [
        ("TLP:RED", Tlp.RED, Pap.GREEN),
        ("PAP:RED", Tlp.GREEN, Pap.RED),
        ("tlp:amber+strict", Tlp.STRICT, Pap.GREEN),
    ],
)
async def test_what_a_definition_says_narrows(three: Three, text: str, tlp: Tlp, pap: Pap) -> None:
    tirana, podgorica, _ = three
    await brought(tirana, definition(text))
    await tirana.publish(marked(1))
    [one] = facts_of(tirana)
    assert (max((one.terms.tlp, *one.markings), key=list(Tlp).index), effective_pap(one)) == (tlp, pap)
    assert await reason(tirana, podgorica) == ("clearance" if tlp is Tlp.RED else "")


async def test_two_definitions_of_one_id_can_t_be_read(three: Three) -> None:
    tirana, podgorica, _ = three
    await brought(tirana, definition("for all"))
    await brought(tirana, definition("for nobody"))
    await tirana.publish(marked(1))
    assert await reason(tirana, podgorica) == "unreadable_marking"


async def test_a_definition_that_a_peer_tells_changes_nothing_of_what_others_marked(three: Three) -> None:
    """A redefined marking: Vienna says that Tirana's marking, which says RED, says nothing; and the other way round."""
    tirana, podgorica, vienna = three
    await brought(tirana, definition("TLP:RED"))
    await vienna.publish(definition("nothing much"))
    await deliver(vienna, tirana)
    await tirana.publish(marked(1))
    assert await reason(tirana, podgorica) == "clearance"

    await brought(tirana, definition("for all", 2))
    await vienna.publish(definition("TLP:RED", 2))
    await deliver(vienna, tirana)
    await tirana.publish(marked(2, modified="2022-08-01T00:00:00.000Z"), tlp=Tlp.CLEAR)
    assert {one.markings for one in facts_of(tirana)} == {(Tlp.RED,), ()}


async def test_a_relay_goes_by_the_definition_that_the_author_sent(three: Three) -> None:
    tirana, podgorica, vienna = three
    await brought(podgorica, definition("nothing much"))
    await brought(tirana, definition("tlp:amber+strict"))
    await tirana.publish(marked(1), onward=True, tlp=Tlp.CLEAR, to=["everyone"])
    await deliver(tirana, podgorica)
    assert await reason(podgorica, vienna) == "relay_tlp"


async def test_a_definition_that_is_itself_marked_more_narrowly_stays_behind(three: Three) -> None:
    tirana, podgorica, _ = three
    narrow = definition("who is who in operation X", object_marking_refs=[TLP2_IDS["red"]])
    await brought(tirana, narrow)
    await tirana.publish(marked(1))
    assert await reason(tirana, podgorica) == "unreadable_marking"


async def test_a_companion_that_a_peer_leaves_out_or_changes_is_refused(three: Three) -> None:
    tirana, podgorica, _ = three
    subject, beside = encode(marked(1)), encode(definition("TLP:RED"))
    other = encode(definition("for all"))
    whole = said(TIRANA, subject, beside)
    wrong = (subject,), (subject, other), (subject, beside, other)
    sent = batch(*stream(*(Parcel(whole.kind, whole.envelope, parts) for parts in wrong)))
    assert [code for _, code in (await take(podgorica, tirana, sent)).refused] == ["content_mismatch"] * 3


async def test_the_creator_without_a_node_travels_beside_its_object(three: Three) -> None:
    tirana, podgorica, _ = three
    await brought(tirana, vendor("A vendor"))
    await tirana.publish(told(TIRANA, 1, created_by_ref=VENDOR))
    await deliver(tirana, podgorica)
    assert podgorica.holds(VENDOR) == [True]
    with podgorica.log.read() as conn:
        assert conn.scalars(select(schema.views.c.ref)).all() == []
        assert contents.ids_held(conn, [VENDOR]) == {VENDOR}


async def test_a_creator_that_is_marked_more_narrowly_is_not_named(three: Three) -> None:
    tirana, podgorica, _ = three
    await brought(tirana, vendor("A source", object_marking_refs=[TLP2_IDS["red"]]))
    await tirana.publish(told(TIRANA, 1, created_by_ref=VENDOR))
    await deliver(tirana, podgorica)
    assert podgorica.holds(told(TIRANA, 1)["id"], VENDOR) == [True, False]


async def test_before_publishing_the_same_is_said(three: Three) -> None:
    tirana, *_ = three
    await brought(tirana, definition("for all"))
    for numbers, gets in (((1,), 1), ((2,), 0), ((1, 2), 0)):
        found = preview(
            tirana.log, tirana.author, tirana.members, tirana.request(marked(*numbers)), utc_now()
        )
        assert {one.gets for one in found.outlook} == {gets}
        assert any(one.code == "unreadable_marking" for one in found.warnings) is (gets == 0)


async def test_more_markings_than_can_travel_can_t_be_read(three: Three) -> None:
    tirana, podgorica, _ = three
    await brought(tirana, *(definition("for all", number) for number in range(1, 6)))
    await tirana.publish(marked(*range(1, 6)))
    assert await reason(tirana, podgorica) == "unreadable_marking"
    await tirana.publish(marked(1, 2, 3, modified="2022-08-01T00:00:00.000Z"))
    await deliver(tirana, podgorica)
    assert len(podgorica.bytes_of(marked(1)["id"])) == 1


async def test_own_sensors_look_for_what_is_marked_in_whatever_words(three: Three) -> None:
    tirana, *_ = three
    await brought(tirana, marked(1))
    await share.decide(tirana.log, SENSOR)
    with tirana.log.read() as conn:
        assert [one.kind for one in views.entries(conn, SENSOR.id, 0, 9)] == [views.ViewKind.POST]
