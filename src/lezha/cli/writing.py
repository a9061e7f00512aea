"""Files that a command writes: what is there already is neither lost nor taken for something else."""

import fcntl
import os
from pathlib import Path
from stat import S_IMODE, S_ISREG
from typing import BinaryIO, Final

from lezha.cli.errors import CliError

STDOUT: Final = Path("-")


def place(path: Path) -> Path:
    """Return where a file of this name lies, behind symbolic links, once it may be written there.

    Raises CliError if something is there that is no regular file: a device, a pipe, a folder.
    """
    target = Path(os.path.realpath(path))
    try:
        regular = S_ISREG(target.stat().st_mode)
    except FileNotFoundError:
        return target
    except OSError as error:
        raise CliError(f"{path} can't be written: {error.strerror}.") from error
    if not regular:
        raise CliError(f"{path} is no regular file: name a file, or - for standard output.")
    return target


def alone(path: Path, mode: int) -> BinaryIO:
    """Open a file to write to as the only command that does, and make it if it isn't there.

    Raises OSError, and CliError while another command writes to it.
    """
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, mode), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise CliError(f"{path} is being written by another command: wait until it has ended.") from None
        except OSError:
            pass  # some file systems have no locks
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
        file.close()  # that command has ended and given it its name


def check_new(path: Path, what: str) -> None:
    """Raise CliError if there is anything of that name: `what` is never overwritten."""
    if os.path.lexists(path):
        raise CliError(f"{path} is there already: {what} is never overwritten. Choose another name.")


def new(path: Path, raw: bytes, what: str) -> None:
    """Write a new file. Raises CliError, also if there is anything of that name."""
    try:
        with path.open("xb") as file:
            file.write(raw)
    except FileExistsError:
        check_new(path, what)
        raise
    except OSError as error:
        raise CliError(f"{path} can't be written: {error.strerror}.") from error


def anew(path: Path, raw: bytes) -> None:
    """Put other bytes in the place of those of a file that is there, all or nothing. Raises CliError."""
    target = place(path)
    part = target.with_name(f".{target.name}.new")
    try:
        mode = S_IMODE(target.stat().st_mode)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise CliError(f"{path} can't be written: {error.strerror}.") from error
