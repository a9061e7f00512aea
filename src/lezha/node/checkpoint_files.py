"""Checkpoints as files: in the node's folder, and as they are given to people and read back.

checkpoints/TIME.json   a checkpoint of the schedule with its commitment and the random number that opens it
"""

from pathlib import Path
from typing import Final

import msgspec

from lezha.node.errors import NodeError
from lezha.node.identity import write_secret
from lezha.store.checkpoints import Made

FOLDER: Final = "checkpoints"


def write(home: Path, made: Made) -> None:
    """Write a checkpoint of the schedule into the node's folder, readable by its owner only. Raises NodeError.

    One that is there for the same time stays: a database that was restored from a backup has forgotten it, and makes
    another, but it is the first one that peers have kept.
    """
    folder = home / FOLDER
    path = folder / f"{made.at[:19].replace(':', '')}Z.json"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if path.exists():
            path = path.with_stem(f"{path.stem}-{made.digest[:8]}")
        write_secret(path, msgspec.json.encode(made) + b"\n")
    except OSError as error:
        raise NodeError(f"A checkpoint can't be written to {folder}: {error.strerror}.") from error


def in_folder(home: Path) -> list[Path]:
    """Return the files that `write` has written, oldest first."""
    return sorted((home / FOLDER).glob("*.json"))


def openings(home: Path) -> list[tuple[str, Made]]:
    """Read the files that `write` has written. Raises NodeError."""
    found = []
    for path in in_folder(home):
        try:
            found.append((f"{FOLDER}/{path.name}", msgspec.json.decode(path.read_bytes(), type=Made)))
        except (OSError, msgspec.MsgspecError) as error:
            raise NodeError(f"{path} can't be read: {error}. Without it: move it elsewhere.") from error
    return found
