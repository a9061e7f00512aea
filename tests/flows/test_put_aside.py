"""What can't be taken is put aside, can be purged by whatever it names, and then does not come back."""

import hashlib

import pytest
from msgspec.structs import replace
from tests.federation.keys import PODGORICA, TIRANA
from tests.flows.alliance import Station, said, stream, take, told
from tests.flows.alliance import batch as frames
from tests.flows.test_purge import SECRET, misfiled, pair, traces, written_down

from lezha.federation.frame import Parcel
from lezha.flows import purge
from lezha.stix import encode

__all__ = ["pair"]  # fixtures: Tirana on both engines, and Podgorica

NAME = misfiled()["id"]


def carrying(raw: bytes, of: str = NAME) -> Parcel:
    """What Podgorica says of an object, with these bytes."""
    digest = hashlib.sha256(raw).hexdigest()
    return replace(said(PODGORICA, encode(misfiled()), content=digest, object_id=of), contents=(raw,))


RAW = encode(misfiled())
OTHER = told(TIRANA, 2)["id"]
HIDDEN: dict[str, tuple[str, Parcel]] = {
    "the id twice, the last one none": ("invalid_object", carrying(RAW[:-1] + b',"id":"x"}', OTHER)),
    "the id twice, the first one another": ("invalid_object", carrying(b'{"id":"x",' + RAW[1:], OTHER)),
    "the id twice, escaped": ("invalid_object", carrying(RAW[:-1] + b',"\\u0069d":"x"}', OTHER)),
    "not to its end": ("invalid_object", carrying(RAW[:-1], OTHER)),
    "no text": ("invalid_object", carrying(RAW + b"\xff", OTHER)),
    "named by the statement alone": ("invalid_object", carrying(SECRET.encode() * 3)),
    "another than the statement names": ("content_mismatch", carrying(RAW, OTHER)),
}


@pytest.mark.parametrize("what", HIDDEN)
async def test_a_frame_is_purged_by_any_name_that_it_gives_itself(
    pair: tuple[Station, Station], url: str, what: str
) -> None:
    tirana, podgorica = pair
    code, parcel = HIDDEN[what]
    receipt = await take(tirana, podgorica, frames(*stream(parcel)))
    assert receipt.refused == ((1, code),)
    written_down(tirana, url)
    assert traces(tirana, url), "it must be there before, or this test proves nothing"
    done = await purge.purge(tirana.log, tirana.member, [NAME], "names a citizen", "officer")
    assert (done.ids, done.put_aside) == ((NAME,), 1)
    assert traces(tirana, url) == []
