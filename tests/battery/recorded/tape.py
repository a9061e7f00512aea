"""A recorded conversation: what one end sent, byte for byte, and what the other one answered.

One JSON file each in a folder named after the version of the protocol. It is not to be changed any more once a lezha
has been released that speaks this version: later ones have to understand it.
"""

import base64
from pathlib import Path

import msgspec

from lezha.federation import frame
from lezha.federation.frame import PROTOCOL

FOLDER = Path(__file__).with_name(f"v{PROTOCOL}")


class Exchange(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request of the sender with its answer, in a step of the script.

    `says` is for people to read. If `lost`, the sender never got the answer; if `again`, the network brought a request
    another time, and nobody waited for the answer.
    """

    step: int
    says: str
    batch: str
    receipt: str
    lost: bool = False
    again: bool = False

    @property
    def raw(self) -> bytes:
        """The bytes of the batch."""
        return base64.b64decode(self.batch)


def exchange(step: int, batch: bytes, receipt: bytes, *, lost: bool = False, again: bool = False) -> Exchange:
    """Return what is recorded of an exchange."""
    return Exchange(step, _says(batch), base64.b64encode(batch).decode(), receipt.decode(), lost, again)


def _says(batch: bytes) -> str:
    frames = frame.decode(batch).frames
    return ", ".join(f"{one.kind} {one.number}" for one in frames) or "greeting"


def read(name: str) -> list[Exchange]:
    """Return the exchanges of a conversation."""
    return msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=list[Exchange])


def write(name: str, exchanges: list[Exchange]) -> None:
    """Record a conversation."""
    FOLDER.mkdir(exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(exchanges), indent=1)
    (FOLDER / f"{name}.json").write_bytes(text + b"\n")
