"""How far a long command has come, kept in a file so that the same command goes on from there."""

import os
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from typing import Final, Self, TypeVar

import msgspec

from lezha.cli.errors import CliError

T = TypeVar("T")
_BEGINNING: Final = 1 << 20


class Identity(msgspec.Struct, frozen=True):
    """By what a file is known again: its size, when it was changed, and the SHA-256 of its first MiB."""

    size: int
    mtime_ns: int
    beginning: str

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Identify a file; None if it is none that can be read twice, such as a pipe. Raises OSError."""
        state = path.stat()
        if not S_ISREG(state.st_mode):
            return None
        with path.open("rb") as file:
            return cls(state.st_size, state.st_mtime_ns, sha256(file.read(_BEGINNING)).hexdigest())


def load(path: Path, kind: type[T]) -> T | None:
    """Read a checkpoint, None if there is none. Raises CliError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CliError(f"The checkpoint {path} can't be read: {error.strerror}.") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CliError(f"{path} is not a checkpoint of this command: --restart begins anew.") from error


def save(path: Path, state: msgspec.Struct, hint: str = "") -> None:
    """Put `state` in the place of an earlier checkpoint, whole or not at all.

    Raises CliError, with a `hint` at its end what to do.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(state))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise CliError(f"The checkpoint {path} can't be written: {error.strerror}.{hint}") from error


def remove(path: Path) -> None:
    """Forget a checkpoint."""
    path.unlink(missing_ok=True)
