"""Frames, batches and receipts: read strictly, bounded, and chained so that nothing can be slipped in."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.federation.keys import AT, MALLORY, PODGORICA, TIRANA
from tests.federation.refusals import refused
from tests.sharing.examples import ALLY, NOW, ROSTERS, facts

from lezha.federation import frame
from lezha.federation.envelope import PayloadType, seal
from lezha.federation.errors import Refused
from lezha.federation.frame import Batch, Frame, FrameKind, Parcel, Receipt
from lezha.sharing.release import Reason, Released, Withheld, release

GENESIS = bytes(32)
bytes32 = st.binary(min_size=32, max_size=32)
carrying = st.builds(
    Frame,
    st.integers(1, 2**63 - 1),
    st.sampled_from([FrameKind.STATEMENT, FrameKind.ROSTER, FrameKind.TOMBSTONE]),
    bytes32,
    st.binary(max_size=200),
    st.lists(st.binary(max_size=200), max_size=16).map(tuple),
)
void = st.builds(Frame, st.integers(1, 2**63 - 1), st.just(FrameKind.VOID), bytes32, bytes32)
batches = st.builds(
    Batch,
    st.just(frame.PROTOCOL),
    st.from_regex(r"\A[0-9a-f]{1,64}\Z"),
    st.text(max_size=30),
    st.lists(carrying | void, max_size=5).map(tuple),
)

ONE = Frame(1, FrameKind.STATEMENT, GENESIS, b"envelope", (b"content", b"companion"))
SMALL = Batch(frame.PROTOCOL, "a" * 32, AT, (ONE,))
RECEIPT = Receipt(PODGORICA.member, TIRANA.member, "a" * 32, 1, "00" * 32, AT, ((1, "authority"),))


def stream(*contents: bytes) -> list[Frame]:
    """Frames 1, 2, 3 … each chained to the one before."""
    frames: list[Frame] = []
    previous = GENESIS
    for number, content in enumerate(contents, 1):
        frames.append(Frame(number, FrameKind.STATEMENT, previous, b"envelope", (content,)))
        previous = frames[-1].chain()
    return frames


# --- batches --------------------------------------------------------------------------------------------------------


@given(batches)
def test_a_batch_comes_back_as_it_was_sent(batch: Batch) -> None:
    assert frame.decode(frame.encode(batch)) == batch


@given(batches, st.data())
def test_a_batch_that_was_cut_off_is_refused(batch: Batch, data: st.DataObject) -> None:
    raw = frame.encode(batch)
    with refused("malformed_batch"):
        frame.decode(raw[: data.draw(st.integers(0, len(raw) - 1))])


@given(batches, st.data())
def test_a_batch_with_altered_bytes_is_refused_or_read_but_never_breaks_the_reader(
    batch: Batch, data: st.DataObject
) -> None:
    raw = bytearray(frame.encode(batch))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        outcome = type(frame.decode(bytes(raw))).__name__
    except Refused as error:
        outcome = error.code
    assert outcome in {"Batch", "malformed_batch", "wrong_protocol"}


@given(st.binary(max_size=300))
def test_what_is_no_batch_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused):
        frame.decode(raw)


def test_bytes_after_a_batch_are_refused() -> None:
    with refused("malformed_batch"):
        frame.decode(frame.encode(SMALL) + b"\x00")


def test_a_batch_that_nests_too_deep_is_refused() -> None:
    with refused("malformed_batch"):
        frame.decode(b"\x91" * 100_000)


def test_another_version_of_the_protocol_is_refused_by_name() -> None:
    with refused("wrong_protocol"):
        frame.decode(frame.encode(replace(SMALL, protocol=2)))


def test_a_batch_that_is_too_large_is_refused_before_it_is_read() -> None:
    with refused("too_large"):
        frame.decode(bytes(frame.MAX_BATCH_BYTES + 1))


def test_a_batch_of_as_many_frames_as_the_link_takes_is_read() -> None:
    most = replace(SMALL, frames=(ONE,) * frame.BATCH_FRAMES)
    assert len(frame.decode(frame.encode(most)).frames) == frame.BATCH_FRAMES


@pytest.mark.parametrize(
    "batch",
    [
        replace(SMALL, frames=(ONE,) * (frame.BATCH_FRAMES + 1)),
        replace(SMALL, incarnation=""),
        replace(SMALL, incarnation="a" * 65),
        replace(SMALL, incarnation="a\x00"),
        replace(SMALL, frames=(replace(ONE, number=0),)),
        replace(SMALL, frames=(replace(ONE, number=-1),)),
        replace(SMALL, frames=(replace(ONE, previous=bytes(31)),)),
        replace(SMALL, frames=(replace(ONE, contents=(b"",) * 17),)),
        replace(SMALL, frames=(Frame(1, FrameKind.VOID, GENESIS, bytes(31)),)),
        replace(SMALL, frames=(Frame(1, FrameKind.VOID, GENESIS, bytes(32), (b"",)),)),
    ],
)
def test_a_batch_beyond_the_limits_of_the_link_is_refused(batch: Batch) -> None:
    with refused("malformed_batch"):
        frame.decode(frame.encode(batch))


@pytest.mark.parametrize(
    "array",
    [
        [frame.PROTOCOL, "a", AT, [], "more"],
        [frame.PROTOCOL, "a", AT, [[1, "statement", GENESIS, b"", [], "more"]]],
        [frame.PROTOCOL, "a", AT, [[1, "headstone", GENESIS, b"", []]]],
        [frame.PROTOCOL],
        {"protocol": 1},
    ],
)
def test_what_version_1_does_not_know_is_refused(array: object) -> None:
    with refused("malformed_batch"):
        frame.decode(msgspec.msgpack.encode(array))


# --- the chain ------------------------------------------------------------------------------------------------------


def test_a_void_frame_keeps_the_chain() -> None:
    given_away = stream(b"a", b"b", b"c")[1]
    instead = Frame(given_away.number, FrameKind.VOID, given_away.previous, given_away.digest())
    assert instead.chain() == given_away.chain()


def test_a_void_frame_tells_nothing_of_what_it_stood_for() -> None:
    given_away = stream(b"a secret")[0]
    instead = Frame(1, FrameKind.VOID, given_away.previous, given_away.digest())
    assert b"a secret" not in frame.encode(replace(SMALL, frames=(instead,)))


@pytest.mark.parametrize(
    "altered",
    [
        replace(ONE, number=2),
        replace(ONE, kind=FrameKind.ROSTER),
        replace(ONE, previous=bytes(31) + b"\x01"),
        replace(ONE, envelope=b"envelopf"),
        replace(ONE, contents=(b"content", b"companiom")),
        replace(ONE, contents=(b"companion", b"content")),
        replace(ONE, contents=(b"content",)),
        replace(ONE, contents=(b"contentcompanion",)),
        replace(ONE, envelope=b"envelopecontent", contents=(b"companion",)),
        replace(ONE, contents=(b"content", b"companion", b"")),
    ],
)
def test_whatever_is_altered_in_a_frame_changes_the_chain(altered: Frame) -> None:
    assert altered.chain() != ONE.chain()


def test_frames_in_another_order_end_in_another_chain() -> None:
    assert stream(b"a", b"b", b"c")[-1].chain() != stream(b"b", b"a", b"c")[-1].chain()


# --- the only way to make a frame of a statement --------------------------------------------------------------------


def test_a_statement_is_packed_with_a_release() -> None:
    released = release(facts(), ALLY, ROSTERS, NOW)
    assert isinstance(released, Released)
    assert frame.pack_statement(released, b"e", [b"c"]) == Parcel(FrameKind.STATEMENT, b"e", (b"c",))


@pytest.mark.parametrize("instead", [Withheld("s", "r", Reason.NOT_ONWARD), None, True, "Released"])
def test_a_statement_is_not_packed_without_a_release(instead: object) -> None:
    with pytest.raises(TypeError):
        frame.pack_statement(instead, b"e", [b"c"])  # type: ignore[arg-type]  # that is the point


# --- receipts -------------------------------------------------------------------------------------------------------


def read(raw: bytes) -> Receipt:
    return frame.read_receipt(raw, [PODGORICA.key], PODGORICA.member, TIRANA.member)


def test_a_receipt_comes_back_as_it_was_signed() -> None:
    assert read(frame.sign_receipt(RECEIPT, PODGORICA.signer)) == RECEIPT


def test_a_receipt_by_another_key_is_refused() -> None:
    with refused("unknown_key"):
        read(frame.sign_receipt(RECEIPT, MALLORY.signer))


@pytest.mark.parametrize("changes", [{"receiver": MALLORY.member}, {"sender": MALLORY.member}])
def test_a_receipt_for_or_of_another_member_is_refused(changes: dict[str, str]) -> None:
    with refused("wrong_member"):
        read(frame.sign_receipt(replace(RECEIPT, **changes), PODGORICA.signer))


@pytest.mark.parametrize("payload", [b"{}", b"", b'{"receiver":"\xff"}'])
def test_what_is_no_receipt_is_refused(payload: bytes) -> None:
    with refused("malformed_receipt"):
        read(seal(payload, PayloadType.RECEIPT, PODGORICA.signer))


@pytest.mark.parametrize("code", ["", "x" * 41, "a\0", "Not a code"])
def test_a_receipt_with_what_is_no_code_is_refused(code: str) -> None:
    with refused("malformed_receipt"):
        read(frame.sign_receipt(replace(RECEIPT, refused=((1, code),)), PODGORICA.signer))


def test_a_statement_never_passes_for_a_receipt() -> None:
    with refused("wrong_kind"):
        read(PODGORICA.says())
