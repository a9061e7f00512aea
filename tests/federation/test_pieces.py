"""Frames that come in pieces: put together whatever comes twice, too early, or from somebody who cheats."""

import pytest

from lezha.federation import frame, pieces
from lezha.federation.errors import Refused
from lezha.federation.frame import PROTOCOL, Batch, Frame, FrameKind
from lezha.federation.pieces import Pieces
from lezha.store.views import GENESIS

WHOLE = Frame(1, FrameKind.STATEMENT, GENESIS, b"envelope", (bytes(range(256)) * 4,))
SIZE = len(frame.encode(Batch(PROTOCOL, "life1", "", (WHOLE,)))) - len(
    frame.encode(Batch(PROTOCOL, "life1", ""))
)
PEER, OTHER = "identity--a", "identity--b"


def batch(piece: Frame, life: str = "life1") -> Batch:
    return frame.decode(frame.encode(Batch(PROTOCOL, life, "", (piece,))))


def piece(offset: int, most: int, life: str = "life1", whole: Frame = WHOLE) -> Batch:
    return batch(frame.cut(whole, offset, most), life)


def made(offset: int, total: int, raw: bytes, number: int = 1) -> Batch:
    place = offset.to_bytes(8, "big") + total.to_bytes(8, "big")
    return batch(Frame(number, FrameKind.PIECE, GENESIS, raw, (place,)))


@pytest.mark.parametrize("most", [1, 7, 100, SIZE - 1, SIZE, 4 * SIZE])
def test_a_frame_is_there_once_its_last_piece_is(most: int) -> None:
    all_of_them, offset = Pieces(), 0
    while (found := all_of_them.take(PEER, piece(offset, most))) is None:
        offset += most
        assert all_of_them.there(PEER, "life1", 1) == offset
    assert found == WHOLE
    assert all_of_them.there(PEER, "life1", 1) == 0


def test_what_comes_twice_or_overlaps_changes_nothing_and_what_leaves_a_hole_is_ignored() -> None:
    some = Pieces()
    assert some.take(PEER, piece(50, 10)) is None
    assert some.there(PEER, "life1", 1) == 0
    for offset, most, there in [(0, 100, 100), (0, 100, 100), (90, 30, 120), (130, 10, 120), (10, 5, 120)]:
        assert some.take(PEER, piece(offset, most)) is None
        assert some.there(PEER, "life1", 1) == there
    assert some.take(PEER, piece(60, SIZE)) == WHOLE


def test_each_member_and_each_life_has_its_own() -> None:
    some = Pieces()
    some.take(PEER, piece(0, 100))
    some.take(OTHER, piece(0, 200))
    assert (some.there(PEER, "life1", 1), some.there(OTHER, "life1", 1)) == (100, 200)
    assert some.there(PEER, "life2", 1) == some.there(PEER, "life1", 2) == 0
    some.take(PEER, piece(0, 50, "life2"))
    assert (some.there(PEER, "life1", 1), some.there(PEER, "life2", 1)) == (0, 50)
    assert some.take(OTHER, piece(200, SIZE)) == WHOLE


def test_pieces_that_are_no_frame_together_are_refused_and_begun_anew() -> None:
    inner = frame.cut(WHOLE, 0, 8)
    for raw in [
        b"\xff" * SIZE,
        frame.encode(Batch(PROTOCOL, "life1", ""))[:SIZE],
        _raw(inner),
        _raw(Frame(2, FrameKind.STATEMENT, GENESIS, b"")),
        _raw(Frame(1, FrameKind.STATEMENT, b"x" * 32, b"")),
        _raw(Frame(1, FrameKind.VOID, GENESIS, b"short")),
    ]:
        some = Pieces()
        assert some.take(PEER, made(0, len(raw), raw[:5])) is None
        with pytest.raises(Refused, match="pieces of a frame"):
            some.take(PEER, made(5, len(raw), raw[5:]))
        assert some.there(PEER, "life1", 1) == 0


def test_of_what_never_ends_so_much_is_kept_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MOST_BYTES", 1000)
    some = Pieces()
    members = [f"identity--{number}" for number in range(5)]
    for member in members:
        some.take(member, made(0, 5000, bytes(300)))
    assert [some.there(member, "life1", 1) for member in members] == [0, 0, 300, 300, 300]
    some.take(members[2], made(300, 5000, bytes(100)))
    some.take(members[0], made(0, 5000, bytes(100)))
    assert [some.there(member, "life1", 1) for member in members] == [100, 0, 400, 0, 300]


@pytest.mark.parametrize(
    ("offset", "total", "raw"),
    [(0, 10, b""), (5, 10, bytes(6)), (0, frame.MAX_BATCH_BYTES + 1, b"x"), (1 << 63, 1 << 63, b"x")],
)
def test_a_piece_that_lies_outside_of_its_frame_or_of_the_limits_is_refused(
    offset: int, total: int, raw: bytes
) -> None:
    with pytest.raises(Refused) as caught:
        made(offset, total, raw)
    assert caught.value.code == "malformed_batch"


def test_a_piece_says_where_it_belongs_and_comes_alone() -> None:
    first = frame.cut(WHOLE, 0, 8)
    for contents in [(), (b"short",), (bytes(16), bytes(16))]:
        with pytest.raises(Refused):
            batch(Frame(1, FrameKind.PIECE, GENESIS, b"x", contents))
    with pytest.raises(Refused):
        frame.decode(frame.encode(Batch(PROTOCOL, "life1", "", (first, WHOLE))))


def _raw(one: Frame) -> bytes:
    """The bytes of a frame, as it stands in a batch."""
    empty = frame.encode(Batch(PROTOCOL, "life1", ""))
    return frame.encode(Batch(PROTOCOL, "life1", "", (one,)))[len(empty) :]


@pytest.mark.parametrize("beyond", [SIZE, SIZE + 1, 1 << 40])
def test_a_receiver_that_claims_more_than_there_is_gets_the_beginning(beyond: int) -> None:
    assert frame.cut(WHOLE, beyond, 100) == frame.cut(WHOLE, 0, 100)
