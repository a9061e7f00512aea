"""Frames, batches and receipts: what travels on a link, protocol version 1.

A batch is one MessagePack array; byte strings in it are length-prefixed, so an object's bytes travel as they are.
"""

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace
from securesystemslib.signer import CryptoSigner, Key

from lezha.federation import envelope
from lezha.federation.envelope import PayloadType
from lezha.federation.errors import Refused
from lezha.sharing.release import Released

PROTOCOL: Final = 1
MEDIA_TYPE: Final = "application/vnd.lezha.batch.v1"
MAX_BATCH_BYTES: Final = 8 << 20
BATCH_FRAMES: Final = 256
BATCH_BYTES: Final = 1 << 20
LEAST_BYTES: Final = 16 << 10
"""So few bytes are sent at once over a line that lets no more through in time."""
_MAX_PARTS: Final = 16
_HASH_BYTES: Final = 32
_PLACE_BYTES: Final = 16
_Code = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9_]{1,40}\Z")]
"""Why a frame was refused, in a word."""
SUSPENDED: Final = "suspended"
SUPERSEDED: Final = "superseded"


class FrameKind(StrEnum):
    """What a frame carries.

    A `void` frame carries only the digest of what was denied after numbering, a `piece` some bytes of a frame that is
    too large to travel at once.
    """

    STATEMENT = "statement"
    ROSTER = "roster"
    TOMBSTONE = "tombstone"
    COMMITMENT = "commitment"
    DOCUMENT = "document"
    VOID = "void"
    PIECE = "piece"


class Parcel(msgspec.Struct, frozen=True):
    """What one frame carries: a signed envelope and the contents it speaks of. Made only by `pack_*`."""

    kind: FrameKind
    envelope: bytes
    contents: tuple[bytes, ...] = ()

    def digest(self) -> bytes:
        """SHA-256 over the kind and each part with its length."""
        state = hashlib.sha256(self.kind.value.encode() + b"\n")
        for part in (self.envelope, *self.contents):
            state.update(len(part).to_bytes(8, "big"))
            state.update(part)
        return state.digest()

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return len(self.envelope) + sum(map(len, self.contents))


class Frame(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One numbered frame. `previous` is the chain value of the frame before.

    In a void frame `envelope` is the 32-byte digest of what the number stood for. In a piece it is the bytes, and the
    one content says where they belong (`cut`).
    """

    number: int
    kind: FrameKind
    previous: bytes
    envelope: bytes
    contents: tuple[bytes, ...] = ()

    def digest(self) -> bytes:
        """The digest of the parcel, which a void frame carries in its place. A piece has none."""
        if self.kind is FrameKind.VOID:
            return self.envelope
        return Parcel(self.kind, self.envelope, self.contents).digest()

    def chain(self) -> bytes:
        """The chain value after this frame."""
        return link(self.previous, self.number, self.digest())


class Batch(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Frames of one stream in order. An empty batch is a greeting: the reply tells the receiver's head."""

    protocol: int
    incarnation: str
    sent: str
    frames: tuple[Frame, ...] = ()

    @property
    def piece(self) -> Frame | None:
        """The piece of a frame that this batch is, None if it holds whole frames or none."""
        return self.frames[0] if self.frames and self.frames[0].kind is FrameKind.PIECE else None


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the receiver signs after its commit: it holds, or has put aside, all up to `head`.

    `chain` is the hex chain value at `head`; `refused` lists numbers of this batch that it put aside, with codes. The
    number after `head` with the code `suspended` says that nothing is taken in its turn for now. `begun` tells how many
    bytes are there of the frame after `head`, left out if none are; that is no promise, since they are not durable.
    """

    receiver: str
    sender: str
    incarnation: str
    head: int
    chain: str
    at: str
    refused: tuple[tuple[int, _Code], ...] = ()
    begun: Annotated[int, msgspec.Meta(ge=1, le=MAX_BATCH_BYTES)] | UnsetType = UNSET

    def refused_of(self, batch: Batch) -> tuple[tuple[int, str], ...]:
        """Return what of this batch was put aside, or after a greeting of the last frames that were taken.

        Else a receipt could name any number of others.
        """
        sent = {one.number for one in batch.frames} or range(
            max(1, self.head - BATCH_FRAMES + 1), self.head + 1
        )
        return tuple((number, code) for number, code in self.refused if number in sent)


def link(previous: bytes, number: int, digest: bytes) -> bytes:
    """Return the chain value after frame `number` with `digest`."""
    return hashlib.sha256(previous + number.to_bytes(8, "big") + digest).digest()


def pack_statement(released: Released, raw: bytes, contents: Sequence[bytes]) -> Parcel:
    """Pack a statement with its content and companions for the recipient it is released to.

    Raises TypeError if `released` is not a release: there is no other way to make such a frame.
    """
    if not isinstance(released, Released):
        raise TypeError("a statement leaves only with a release")
    return Parcel(FrameKind.STATEMENT, raw, tuple(contents))


def pack_roster(raw: bytes) -> Parcel:
    """Pack a roster; the caller sends it to members named in it only."""
    return Parcel(FrameKind.ROSTER, raw)


def pack_tombstone(raw: bytes) -> Parcel:
    """Pack a tombstone; the caller sends it to those only who were offered what it takes back, or sent it here."""
    return Parcel(FrameKind.TOMBSTONE, raw)


def pack_commitment(raw: bytes) -> Parcel:
    """Pack a commitment to this node's own log, which tells a peer nothing of it."""
    return Parcel(FrameKind.COMMITMENT, raw)


def pack_document(raw: bytes) -> Parcel:
    """Pack this node's own document, which every peer may have."""
    return Parcel(FrameKind.DOCUMENT, raw)


def cut(whole: Frame, offset: int, most: int) -> Frame:
    """Return the piece of a frame that begins at `offset` of its bytes and has at most `most` of them.

    Where no such bytes are it begins anew.
    """
    raw = msgspec.msgpack.encode(whole)
    offset = offset if offset < len(raw) else 0
    place = offset.to_bytes(_PLACE_BYTES // 2, "big") + len(raw).to_bytes(_PLACE_BYTES // 2, "big")
    piece = raw[offset : offset + most]
    return replace(whole, kind=FrameKind.PIECE, envelope=piece, contents=(place,))


def place_of(piece: Frame) -> tuple[int, int]:
    """Return where the bytes of a piece begin, and how many all pieces have together."""
    (place,) = piece.contents
    return int.from_bytes(place[: _PLACE_BYTES // 2], "big"), int.from_bytes(
        place[_PLACE_BYTES // 2 :], "big"
    )


def join(raw: bytes, piece: Frame) -> Frame:
    """Read the frame whose bytes are complete with `piece`, as strictly as one in a batch. Raises Refused."""
    try:
        whole = msgspec.msgpack.decode(raw, type=Frame)
    except (ValueError, RecursionError) as error:
        raise Refused("malformed_batch", f"The pieces of a frame are none together: {error}.") from error
    expected = (piece.number, piece.previous)
    if (whole.number, whole.previous) != expected or whole.kind is FrameKind.PIECE or not _sound(whole):
        raise Refused("malformed_batch", "The pieces of a frame are another one together.")
    return whole


def encode(batch: Batch) -> bytes:
    """Return the bytes of a batch."""
    return msgspec.msgpack.encode(batch)


def decode(raw: bytes) -> Batch:
    """Read a batch, strictly and bounded. Raises Refused."""
    if len(raw) > MAX_BATCH_BYTES:
        raise Refused("too_large", f"A batch has {len(raw)} bytes; {MAX_BATCH_BYTES} are allowed.")
    try:
        batch = msgspec.msgpack.decode(raw, type=Batch)
    except (ValueError, RecursionError) as error:
        raise Refused("malformed_batch", f"A batch can't be read: {error}.") from error
    if batch.protocol != PROTOCOL:
        raise Refused(
            "wrong_protocol", f"The peer speaks link version {batch.protocol}, this node {PROTOCOL}."
        )
    sound = (
        len(batch.frames) <= BATCH_FRAMES
        and len(batch.incarnation) <= 64
        and batch.incarnation.isascii()
        and batch.incarnation.isalnum()
        and all(map(_sound, batch.frames))
        and (len(batch.frames) < 2 or not any(one.kind is FrameKind.PIECE for one in batch.frames))
    )
    if not sound:
        raise Refused("malformed_batch", "A batch breaks the limits of the link.")
    return batch


def sign_receipt(receipt: Receipt, one: CryptoSigner) -> bytes:
    """Return the signed envelope of a receipt."""
    return envelope.seal(msgspec.json.encode(receipt), PayloadType.RECEIPT, one)


def read_receipt(raw: bytes, keys: Sequence[Key], receiver: str, sender: str) -> Receipt:
    """Verify a receipt by the receiver's keys and check that it is from and for these members. Raises Refused."""
    opened = envelope.open_sealed(raw, PayloadType.RECEIPT, keys)
    try:
        receipt = envelope.decode(opened.payload, Receipt)
    except ValueError as error:
        raise Refused("malformed_receipt", f"A receipt can't be read: {error}.") from error
    if (receipt.receiver, receipt.sender) != (receiver, sender):
        raise Refused("wrong_member", f"A receipt names {receipt.receiver} and {receipt.sender}.")
    return receipt


def _sound(frame: Frame) -> bool:
    if frame.number < 1 or len(frame.previous) != _HASH_BYTES or len(frame.contents) > _MAX_PARTS:
        return False
    if frame.kind is FrameKind.PIECE:
        return _is_sound_piece(frame)
    return frame.kind is not FrameKind.VOID or (len(frame.envelope) == _HASH_BYTES and not frame.contents)


def _is_sound_piece(frame: Frame) -> bool:
    if [len(one) for one in frame.contents] != [_PLACE_BYTES]:
        return False
    offset, total = place_of(frame)
    return bool(frame.envelope) and offset + len(frame.envelope) <= total <= MAX_BATCH_BYTES
