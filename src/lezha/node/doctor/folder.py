"""The node's folder: who can read what is in it, and how much room its disk has."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lezha.node import identity
from lezha.node import settings as node_settings
from lezha.node.doctor.findings import Finding, Grade

_OTHERS: Final = 0o077
_MIB: Final = 1 << 20
_LEAST: Final = 256 * _MIB
_LITTLE: Final = 1024 * _MIB


def examine(home: Path) -> Iterator[Finding]:
    """Look at modes, owners and room."""
    try:
        yield from _modes(home)
        yield from _room(home)
    except OSError as error:
        yield Finding(
            Grade.NOW,
            "folder",
            f"The node's folder {home} can't be looked at: {error.strerror}.",
            do="Run this as the user that the node runs as.",
        )


def _modes(home: Path) -> Iterator[Finding]:
    secret = [
        *sorted((home / "keys").glob("*")),
        home / identity.ADMIN_TOKEN,
        *sorted(home.glob(f"{node_settings.DATABASE}*")),
    ]
    present = [path for path in secret if path.is_file()]
    closed = not home.stat().st_mode & _OTHERS
    for path in present:
        mode = path.stat().st_mode & 0o777
        if mode & _OTHERS and not (closed and path.parent == home):
            yield Finding(
                Grade.NOW,
                "readable_by_others",
                f"{path} can be read or written by others on this machine (mode {mode:o}).",
                do=f"chmod 600 {path}; if anybody may have read a key, treat it as lost.",
            )
    owner = home.stat().st_uid
    for path in present:
        if path.stat().st_uid != owner:
            yield Finding(
                Grade.SOON,
                "owner",
                f"{path} belongs to another user than the folder: the node may not be able to use it.",
                do=f"chown --reference={home} {path}; run lezha as the user that the node runs as.",
            )


def _room(home: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(home).free
    database = home / node_settings.DATABASE
    size = database.stat().st_size if database.is_file() else 0
    if free < _LEAST:
        grade, why = Grade.NOW, "a node without room takes nothing in and publishes nothing"
    elif free < _LITTLE:
        grade, why = Grade.SOON, "a node without room takes nothing in and publishes nothing"
    elif free < 2 * size:
        grade, why = Grade.SOON, "purging, which writes the database anew, needs room for two copies of it"
    else:
        return
    yield Finding(
        grade,
        "disk",
        f"{free // _MIB:,} MiB are left on the disk of {home}: {why}.",
        do="Make room, or move the folder to a larger disk.",
    )
