"""`lezha doctor`: what of a node is broken or will break, when, and what to do about it.

It reads the node's folder and its database, whether the node runs or not, and changes nothing. How links and clocks are
it knows from what the running node notes every minute; of a node that is stopped it tells how they were at the end.
Every part looks for itself: what one can't read is a finding, and the next one goes on.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from lezha.flows import check
from lezha.node import settings as node_settings
from lezha.node.doctor import folder, keys, links, log, wiring
from lezha.node.doctor.findings import Finding, Grade, in_order
from lezha.node.errors import NodeError
from lezha.node.settings import Settings

__all__ = ["Finding", "Grade", "examine"]


def examine(home: Path, now: str) -> list[Finding]:
    """Return what is found of the node in `home`, the gravest first and then what is due first. Raises NodeError.

    It is raised if there is no node.
    """
    if not (home / node_settings.FILE).exists():
        node_settings.load(home)  # says that there is none
    try:
        settings = node_settings.load(home)
    except NodeError as error:
        mend = "Mend lezha.toml: without it the node does not start."
        return [Finding(Grade.NOW, "settings", str(error), do=mend), *folder.examine(home)]
    return in_order(_examined(home, settings, now))


def _examined(home: Path, settings: Settings, now: str) -> Iterator[Finding]:
    yield from folder.examine(home)
    yield from wiring.examine(home, settings)
    known = yield from keys.examine(home, settings, now)
    reader = yield from log.opened(home, settings)
    if reader is None:
        return
    with contextlib.closing(reader), reader.read() as conn:
        yield from _readable(log.examine(conn, home, settings, now))
        if known is not None:
            yield from _readable(links.examine(conn, known, now))


def _readable(part: Iterator[Finding]) -> Iterator[Finding]:
    """Give what a part finds; where the database can't be read on, that is a finding."""
    try:
        yield from part
    except check.RAISED as error:
        yield log.damaged(error)
