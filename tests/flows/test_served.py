"""What this node serves, another's parser reads: `stix2` of PyPI takes it apart and finds the same values."""

import json
from collections.abc import Callable

import pytest
import stix2  # type: ignore[import-untyped]  # ships no types
from tests.federation.keys import TIRANA
from tests.flows.alliance import Station
from tests.stix.test_bad import CASES

from lezha.flows import export, ingest
from lezha.node.clock import utc_now
from lezha.stix import bundle, markings, read

SOUND = {one.sha256: one for one in (read(case.sound) for case in CASES)}

# What the specification allows and stix2 refuses, in its words.
REFUSED_BY_STIX2 = (
    "is not valid!",  # a selector that goes into a dictionary whose keys have capitals or hyphens
    "must adhere to selector syntax",
    "substring not found",
    "not a valid STIX identifier",  # a reference inside a container of STIX 2.0's kind
    "'is_active' must be False if 'end' is present",  # also where it is left out
)


async def served(station: Callable[..., Station]) -> list[bytes]:
    """Everything that the log gives out again after it took the sound object of every kept case."""
    here = station(TIRANA)
    raw = bundle.write([one.raw for one in SOUND.values()])
    taken = await ingest.take(here.log, here.members, here.member, raw, "test")
    assert (taken.new, taken.refused) == (len(SOUND), 0)
    where = export.stretch(here.log, 0, "", "")
    objects: list[bytes] = []
    while True:
        page = export.page(here.log, "", export.own_system("test"), where, utc_now())
        objects += page.objects
        if page.head.last:
            return objects
        where = export.Stretch(page.head.cursor, where.upto)


async def test_every_kind_of_object_comes_out_byte_for_byte(station: Callable[..., Station]) -> None:
    objects = await served(station)
    # A marking that can't be read denies (docs/design.md, Release).
    readable = [one for one in SOUND.values() if None not in map(markings.tlp_level, one.markings)]
    assert sorted(objects) == sorted(one.raw for one in readable)


# The container of STIX 2.0's kind is deprecated, and still allowed.
@pytest.mark.filterwarnings("ignore::stix2.exceptions.STIXDeprecationWarning")
def test_stix2_reads_what_is_served() -> None:
    refused = []
    for one in SOUND.values():
        try:
            parsed = stix2.parse(one.raw.decode(), allow_custom=True, version="2.1")
        except (ValueError, stix2.exceptions.STIXError) as error:
            refused.append(str(error))
        else:
            assert (parsed["type"], parsed["id"]) == (one.type, one.id)
            assert json.loads(parsed.serialize())["id"] == json.loads(one.raw)["id"]
    assert [words for words in refused if not any(known in words for known in REFUSED_BY_STIX2)] == []
    assert len(refused) < len(SOUND) / 20
