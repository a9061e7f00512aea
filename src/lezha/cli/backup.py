"""`lezha backup` and `lezha restore`."""

import contextlib
import io
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Final

import typer

from lezha.cli import interrupt
from lezha.cli.console import note, say, show_json
from lezha.cli.errors import CliError
from lezha.cli.options import DEFAULT_HOME, Home, Json
from lezha.node import backup as backups
from lezha.node.age import Identities, Passphrase, Recipients
from lezha.node.backup import Summary

app = typer.Typer(help="Back up a node, encrypted, and check what was backed up.", no_args_is_help=True)
_MAX_KEY_FILE: Final = 64 << 10
_TOLD_EVERY_S: Final = 2.0

BackupFile = Annotated[Path, typer.Argument(help="The backup; - for standard input.")]
IdentityFile = Annotated[
    Path | None,
    typer.Option(help="The secret key that opens it, as `lezha backup keygen` or `age-keygen` writes it."),
]
PassphraseFile = Annotated[Path | None, typer.Option(help="A file whose first line is the passphrase.")]


@app.command("create")
def create(
    file: Annotated[Path, typer.Argument(help="A new file to write; - for standard output.")],
    recipient: Annotated[
        list[str],
        typer.Option(
            help="A public key, age1…; its secret key opens the backup. May be given several times."
        ),
    ] = [],  # noqa: B006  # typer copies it
    passphrase_file: PassphraseFile = None,
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Write all of this node, encrypted, into one file. The node may go on running.

    It is in the age format: `age` opens it too. Example: lezha backup create /backup/tirana-2026-03-01.age
    --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kdz6hexsq8fp3dp
    """
    if bool(recipient) == bool(passphrase_file):
        raise CliError(
            "Give --recipient, or --passphrase-file, and not both: there are no backups in the clear.", 2
        )
    lock = Passphrase(_first_line(passphrase_file)).strong() if passphrase_file else Recipients(*recipient)
    if file == Path("-"):
        if json or sys.stdout.isatty():
            raise CliError("With - the backup goes to standard output: send it on, and leave out --json.", 2)
        _report(backups.create(home.expanduser(), sys.stdout.buffer, lock, _Progress().told), "-")
        return
    file = file.expanduser()
    done = backups.create(home.expanduser(), file, lock, _Progress().told)
    if json:
        _unrecorded(done)
        show_json(_document(done) | {"file": str(file), "bytes": file.stat().st_size})
        return
    _report(done, str(file))


@app.command("keygen")
def keygen(
    out: Annotated[Path, typer.Option(help="A new file for the secret key; keep it away from the node.")],
    json: Json = False,
) -> None:
    """Make a pair of keys for backups: the secret one into a file, the public one on standard output.

    Example: lezha backup keygen --out backup.key
    """
    out = out.expanduser()
    public = backups.keygen(out)
    if json:
        show_json({"recipient": public, "file": str(out)})
        return
    say(public)
    note(f"The secret key is in {out}. Keep it away from the node, and a copy of it elsewhere.")


@app.command("check")
def check(
    file: BackupFile,
    identity_file: IdentityFile = None,
    passphrase_file: PassphraseFile = None,
    json: Json = False,
) -> None:
    """Read a backup to its end and say what is in it. Nothing is written.

    Example: lezha backup check /backup/tirana-2026-03-01.age --identity-file backup.key
    """
    key = _key(identity_file, passphrase_file)
    with _opened(file) as source:
        done = backups.check(source, key, _Progress().told)
    if json:
        show_json(_document(done))
        return
    say(f"{file} is whole: {_what(done)}")
    note(f"Its node document is {done.document}: is it the one that `lezha backup create` named?")


def restore(
    file: BackupFile,
    home: Annotated[Path, typer.Option(help="A new or empty folder for the node.")],
    database: Annotated[
        str,
        typer.Option(
            envvar="LEZHA_DATABASE",
            help="An empty PostgreSQL database, as postgresql+psycopg://user@host/name; otherwise SQLite.",
        ),
    ] = "",
    identity_file: IdentityFile = None,
    passphrase_file: PassphraseFile = None,
    json: Json = False,
) -> None:
    """Make a node of a backup, in a new folder and an empty database. All of it, or nothing.

    Example: lezha restore /backup/tirana-2026-03-01.age --home /var/lib/lezha --identity-file backup.key
    """
    key = _key(identity_file, passphrase_file)
    home = home.expanduser()
    with _opened(file) as source:
        done = backups.restore(source, home, database, key, _Progress().told)
    if json:
        show_json(_document(done) | {"home": str(home), "database": "postgresql" if database else "sqlite"})
        return
    say(f"{home} holds {_what(done)}")
    note(f"Its node document is {done.document}: is it the one that `lezha backup create` named?")
    note("The node of which the backup was made must never run again, here or elsewhere.")
    note(
        "Tokens and peers are as they were then: revoke and suspend again what was revoked and suspended since."
    )
    note(f"Next: lezha serve --home {home}")


class _Progress:
    """Tells now and then how far it has come."""

    def __init__(self) -> None:
        self._told = time.monotonic()
        # Whoever stops it, as a service manager does, finds nothing half-done either.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        interrupt.tidily()

    def told(self, table: str, rows: int) -> None:
        if time.monotonic() - self._told >= _TOLD_EVERY_S:
            self._told = time.monotonic()
            note(f"{table}: {rows:,} rows")


def _report(done: Summary, file: str) -> None:
    _unrecorded(done)
    text = f"{file} holds {_what(done)}"
    (note if file == "-" else say)(text)
    note(f"Its node document is {done.document}: write that down, once, where you keep the key.")


def _unrecorded(done: Summary) -> None:
    if done.unrecorded:
        note(f"That this backup was made could not be written into the log: {done.unrecorded}")


def _what(done: Summary) -> str:
    rows = sum(done.rows.values())
    return f"{done.name} ({done.member}) as of {done.created}: {len(done.files)} files, {rows:,} rows."


def _document(done: Summary) -> dict[str, object]:
    return {
        "member": done.member,
        "name": done.name,
        "document": done.document,
        "created": done.created,
        "schema": done.schema,
        "engine": done.engine,
        "files": done.files,
        "rows": done.rows,
    }


def _key(identity_file: Path | None, passphrase_file: Path | None) -> Identities | Passphrase:
    if identity_file and not passphrase_file:
        return Identities(_text(identity_file))
    if passphrase_file and not identity_file:
        return Passphrase(_first_line(passphrase_file))
    raise CliError("Give --identity-file or --passphrase-file, whichever the backup was made for.", 2)


def _first_line(path: Path) -> str:
    lines = _text(path).splitlines()
    return lines[0] if lines else ""


def _text(path: Path) -> str:
    try:
        with path.expanduser().open("rb") as file:
            raw = file.read(_MAX_KEY_FILE + 1)
        if len(raw) > _MAX_KEY_FILE:
            raise CliError(f"{path} is too large for a key or a passphrase.")
        return raw.decode()
    except OSError as error:
        raise CliError(f"{path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise CliError(f"{path} is not text.") from None


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    if file == Path("-"):
        assert isinstance(sys.stdin.buffer, io.BufferedReader)  # nobody replaces it
        yield sys.stdin.buffer.raw
        return
    try:
        source = file.expanduser().open("rb")
    except OSError as error:
        raise CliError(f"{file} can't be read: {error.strerror}.") from error
    with source:
        yield source
