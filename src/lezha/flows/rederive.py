"""What is derived from contents, made again: a restored log comes without it."""

from typing import Final

from sqlalchemy import Connection

from lezha.flows import ingest
from lezha.stix import objects
from lezha.stix.errors import StixError
from lezha.store import contents
from lezha.store.contents import Content

_AT_A_TIME: Final = 200


def derive_all(conn: Connection) -> None:
    """Derive observables, references, tags and full text from all contents; none of these may be there."""
    last = 0
    while found := contents.bodies(conn, last, _AT_A_TIME):
        read = [(_read(raw), seq) for seq, raw in found]
        contents.derive(conn, [(content, seq) for content, seq in read if content])
        last = found[-1][0]


def _read(raw: bytes) -> Content | None:
    try:
        return ingest.content(objects.read(raw))
    except StixError:
        return None  # what an earlier program took and this one would refuse is kept, and not looked for
