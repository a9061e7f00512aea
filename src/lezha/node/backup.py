"""A whole node in one encrypted stream, and a node out of such a stream.

A backup is an age stream (`age`) of packed records (`packing`): a header, the files of the folder, and all rows of one
snapshot of the database (`store.archive`). It is read beside a running node, whose writer never waits for it.

A restore puts all of it into a new folder and an empty database, of either engine. Rows are committed only after the
whole stream has proved genuine, and `lezha.toml` comes last: a folder without it is no node. Whatever fails, nothing is
left. What is restored begins a new incarnation (docs/link.md), so its streams do not fork.
"""

import contextlib
import getpass
import os
import re
import secrets
import shutil
import sqlite3
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Final

import msgspec
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

import lezha
from lezha.federation import document
from lezha.federation.document import KnownDocument
from lezha.federation.errors import Refused
from lezha.flows import rederive
from lezha.node import age, identity, packing
from lezha.node import database as databases
from lezha.node import settings as node_settings
from lezha.node.age import Decrypted, Identities, Passphrase, Recipients
from lezha.node.clock import utc_now
from lezha.node.errors import NodeError
from lezha.node.packing import File, Header, Pieces, Record
from lezha.node.settings import Settings
from lezha.store import archive, engine, lives, schema
from lezha.store.archive import Rows
from lezha.store.errors import StoreError
from lezha.store.log import Log, asked_from

Progress = Callable[[str, int], None]
"""Is told a table and how many of its rows are done."""

_DATABASE: Final = "lezha.db"
_SINGLE: Final = (node_settings.FILE, identity.DOCUMENT, identity.ADMIN_TOKEN)
_KEYS: Final = "keys"
_PART: Final = "[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_PATH: Final = re.compile(rf"(?:{_KEYS}/)?{_PART}", re.ASCII)
_DATABASE_LINE: Final = re.compile(r"^database[ \t]*=.*$", re.MULTILINE)
_COMMAND_LINE: Final = "command line"
_PENDING: Final = f".{node_settings.FILE}.restored"


class Summary(msgspec.Struct, frozen=True):
    """What was backed up or restored. `engine` is that of the database that was backed up.

    `document` is the digest of the node document, which names the member's keys: without the signing key that it names
    nobody can make a backup that is restored with it. `unrecorded` says why the log does not tell that it was made;
    empty if it does.
    """

    member: str
    name: str
    document: str
    created: str
    schema: int
    engine: str
    files: list[str]
    rows: dict[str, int]
    unrecorded: str = ""


def create(
    home: Path, target: Path | IO[bytes], lock: Recipients | Passphrase, progress: Progress
) -> Summary:
    """Back up the node in `home`, running or not, into a new file or a stream.

    The file is there under its name only when all of it is on the disk. That it is made is an event of the log, in the
    backup too; where that can't be written, as on a full disk, it is made all the same, which is when it is needed
    most. Raises NodeError, StoreError.
    """
    settings = node_settings.load(home)
    identity.load(home)  # what no node can be made of is no backup
    files = list(_files(home, settings))
    unrecorded = _record(_url(home, settings), lock)
    with _snapshot(_url(home, settings)) as conn, contextlib.closing(archive.dump(conn)) as rows:
        header = _header(settings, conn)
        tally = _Tally(progress)
        records = _chain([header], files, tally.counted(rows))
        with _output(target) as out:
            age.encrypt(Pieces(packing.packed(records)), out, lock)
    if not unrecorded:
        _note(_url(home, settings), header.created)
    return msgspec.structs.replace(_summary(header, files, tally), unrecorded=unrecorded)


def restore(
    source: IO[bytes],
    home: Path,
    database: str,
    key: Identities | Passphrase,
    progress: Progress,
    rebuild: Callable[[Connection], None] = rederive.into_empty,
) -> Summary:
    """Make of a backup a node in the new or empty folder `home`, with SQLite there or in `database`, an SQLAlchemy URL.

    All or nothing. `rebuild` fills tables that are derived from others. Raises NodeError, StoreError.
    """
    if database:
        databases.check_url(database)
    with _new_folder(home), Decrypted(source, key) as inside:
        records = packing.unpacked(inside)
        header = _known(next(records))
        tally = _Tally(progress)
        files, first = _take_files(records)
        _write_files(home, files, database, header)
        url = database or f"sqlite:///{home / _DATABASE}"
        with _writing(url) as conn:
            archive.load(conn, tally.counted(_only_rows(_chain(first, records))), rebuild)
        (home / _PENDING).rename(home / node_settings.FILE)
        _sync_folder(home)
    return _summary(header, files, tally)


def check(source: IO[bytes], key: Identities | Passphrase, progress: Progress) -> Summary:
    """Read a backup to its end, without writing anything anywhere. Raises NodeError if it could not be restored."""
    with Decrypted(source, key) as inside:
        records = packing.unpacked(inside)
        header = _known(next(records))
        tally = _Tally(progress)
        files, first = _take_files(records)
        for _ in tally.counted(_only_rows(_chain(first, records))):
            pass
    return _summary(header, files, tally)


def keygen(path: Path) -> str:
    """Write a new secret key into a new file that only its owner can read; return the public key. Raises NodeError."""
    if os.path.lexists(path):
        raise NodeError(f"{path} is there already: a key is never overwritten. Choose another name.")
    secret, public = age.generate()
    text = f"# created: {utc_now()}\n# public key: {public}\n{secret}\n"
    try:
        identity.write_secret(path, text.encode())
    except OSError as error:
        raise NodeError(f"The key can't be written to {path}: {error.strerror}.") from error
    return public


# --- reading a node --------------------------------------------------------------------------------------------------


def _url(home: Path, settings: Settings) -> str:
    if not settings.database and not (home / _DATABASE).is_file():
        raise NodeError(f"There is no database in {home}: is it the right folder?")
    return settings.database or f"sqlite:///{home / _DATABASE}"


def _record(url: str, lock: Recipients | Passphrase) -> str:
    """Have it in the log that a backup is made, by which user of this machine; return why not, empty if it is."""
    try:
        with contextlib.closing(Log(url, utc_now, upgrade=False)) as log, asked_from(_COMMAND_LINE):
            to = [str(key) for key in lock.keys] if isinstance(lock, Recipients) else ["a passphrase"]
            log.write_now(lambda tx: tx.event("backup", "database", _user(), to=to))
    except (StoreError, SQLAlchemyError, sqlite3.Error) as error:
        return engine.said(error)
    return ""


def _note(url: str, at: str) -> None:
    """Note that the backup is complete; that it was begun is in the log already, which matters more."""
    failed = (StoreError, SQLAlchemyError, sqlite3.Error)
    with contextlib.suppress(*failed), contextlib.closing(Log(url, utc_now, upgrade=False)) as log:
        log.write_now(lambda tx: lives.note_backup(tx, at))


def _user() -> str:
    try:
        return f"user {getpass.getuser()}"
    except (OSError, KeyError):  # it has no name here
        return f"user {os.getuid()}"


def _header(settings: Settings, conn: Connection) -> Header:
    return Header(
        format=packing.FORMAT,
        version=packing.VERSION,
        lezha=lezha.__version__,
        schema=schema.VERSION,
        member=settings.member,
        name=settings.name,
        created=utc_now(),
        engine=conn.dialect.name,
        tables=archive.shape(),
    )


def _files(home: Path, settings: Settings) -> Iterator[File]:
    """Give the files that make a folder this node. What is not regular, or half-written, is not among them."""
    keys = home / _KEYS
    try:
        policy = [settings.policy] if settings.policy else []
        names = [*_SINGLE, *policy, *(f"{_KEYS}/{path.name}" for path in sorted(keys.iterdir()))]
        for name in names:
            if _PATH.fullmatch(name) and (home / name).is_file():
                with (home / name).open("rb") as file:
                    data = file.read(packing.MAX_FILE + 1)
                if len(data) > packing.MAX_FILE:
                    raise NodeError(f"{home / name} is too large for a file of a node.")
                yield File(name, data)
    except OSError as error:
        raise NodeError(f"{error.filename} can't be read: {error.strerror}.") from error


@contextlib.contextmanager
def _snapshot(url: str) -> Iterator[Connection]:
    with (
        databases.answering(url),
        _open(engine.readers, url) as opened,
        opened.connect() as conn,
        conn.begin(),
    ):
        archive.check(conn)
        yield conn


# --- writing a backup ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _output(target: Path | IO[bytes]) -> Iterator[IO[bytes]]:
    """Give a file that gets its name when all of it is on the disk, or a stream as it is. Raises NodeError."""
    if not isinstance(target, Path):
        try:
            yield target
            target.flush()
        except OSError as error:
            raise NodeError(f"The backup can't be written: {error.strerror}.") from error
        return
    if os.path.lexists(target):
        raise NodeError(f"{target} is there already: a backup is never overwritten. Choose another name.")
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.rename(target)
            _sync_folder(target.parent)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise NodeError(
            f"The backup can't be written to {target}: {error.strerror}. Nothing was left there."
        ) from error


# --- reading a backup ------------------------------------------------------------------------------------------------


def _known(record: Record) -> Header:
    """Return the header if this program can restore what follows. Raises NodeError."""
    if not isinstance(record, Header) or record.format != packing.FORMAT:
        raise NodeError("This file opens, but it is not a backup of lezha.")
    if record.version != packing.VERSION:
        raise NodeError(f"This backup is of format {record.version}, this program reads {packing.VERSION}.")
    # A later schema version that can take rows of earlier ones does so here.
    if record.schema != schema.VERSION or record.tables != archive.shape():
        raise NodeError(
            f"This backup has schema version {record.schema}, this program needs {schema.VERSION}: restore it with "
            f"lezha {record.lezha}, which made it, and upgrade the node afterwards."
        )
    return record


def _take_files(records: Iterator[Record]) -> tuple[list[File], list[Record]]:
    """Return all files, and the record after them if there is one. Raises NodeError."""
    files: list[File] = []
    for record in records:
        if not isinstance(record, File):
            return _proper(files), [record]
        files.append(record)
    return _proper(files), []


def _proper(files: list[File]) -> list[File]:
    names = [file.path for file in files]
    for name in names:
        known = "/" in name or name in _SINGLE or re.match(node_settings.POLICY, name)
        if not _PATH.fullmatch(name) or not known:
            raise NodeError(f"This backup names a file {name!r}, which no node has: it can't be trusted.")
    if len(set(names)) != len(names):
        raise NodeError("This backup names a file twice: it can't be trusted.")
    if missing := {node_settings.FILE, identity.DOCUMENT} - set(names):
        raise NodeError(f"This backup lacks {', '.join(sorted(missing))}: it can't be restored.")
    _document(files)
    return files


def _document(files: list[File]) -> KnownDocument:
    (raw,) = (file.data for file in files if file.path == identity.DOCUMENT)
    try:
        return document.read(raw)
    except Refused as error:
        raise NodeError(f"This backup's node document can't be read: {error}") from error


def _only_rows(records: Iterable[Record]) -> Iterator[Rows]:
    for record in records:
        if not isinstance(record, Rows):
            raise NodeError("This backup's records are out of order: it can't be trusted.")
        yield record


# --- writing a node --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _new_folder(home: Path) -> Iterator[None]:
    """Make the folder, or take it if it is empty; leave it as it was if the body fails. Raises NodeError."""
    made = [folder for folder in (home, *home.parents) if not folder.exists()]
    mask = os.umask(0o077)
    try:
        if not made and any(home.iterdir()):
            raise NodeError(
                f"{home} is not empty: a backup is restored into a new folder, never over another node."
            )
        try:
            home.mkdir(parents=True, exist_ok=True)
            home.chmod(0o700)
            yield
        except BaseException:
            _remove(home, made)
            raise
    except OSError as error:
        raise NodeError(
            f"The node can't be restored into {home}: {error.strerror}. Nothing was left there."
        ) from error
    finally:
        os.umask(mask)


def _remove(home: Path, made: list[Path]) -> None:
    if home.is_dir():
        _empty(home)
    for folder in made:
        if folder.exists():
            folder.rmdir()


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _write_files(home: Path, files: list[File], database: str, header: Header) -> None:
    """Write all files, `lezha.toml` under another name, and check that they are a node. Raises NodeError."""
    (home / _KEYS).mkdir(mode=0o700)
    for file in files:
        if file.path == node_settings.FILE:
            identity.write_secret(home / _PENDING, _settings(file.data, database, header))
        else:
            identity.write_secret(home / file.path, file.data)
    if identity.load(home).member != header.member:
        raise NodeError("This backup's node document is not that of its member: it can't be trusted.")
    _sync_folder(home / _KEYS)
    _sync_folder(home)


def _settings(data: bytes, database: str, header: Header) -> bytes:
    """Return `lezha.toml` with another database, and otherwise as the operator wrote it. Raises NodeError."""
    try:
        text = data.decode()
        wanted = msgspec.structs.replace(_read_settings(text), database=database)
    except (msgspec.ValidationError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise NodeError(f"This backup's {node_settings.FILE} can't be used: it can't be restored.") from None
    if wanted.member != header.member:
        raise NodeError(f"This backup's {node_settings.FILE} is not that of its member: it can't be trusted.")
    line = f"database = {msgspec.json.encode(database).decode()}"
    changed = _DATABASE_LINE.sub(lambda _: line, text, count=1)
    if not _DATABASE_LINE.search(text):
        changed = f"{line}\n{text}"
    with contextlib.suppress(msgspec.ValidationError, tomllib.TOMLDecodeError):
        if _read_settings(changed) == wanted:
            return changed.encode()
    raise NodeError(
        f"The database can't be set in this backup's {node_settings.FILE}: write its `database` in one line."
    )


def _read_settings(text: str) -> Settings:
    return msgspec.convert(tomllib.loads(text), Settings)


@contextlib.contextmanager
def _writing(url: str) -> Iterator[Connection]:
    """Give a connection in a transaction that ends with the body. Raises NodeError."""
    with databases.answering(url), _open(engine.writer, url) as opened, opened.begin() as conn:
        yield conn


# --- databases -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _open(make: Callable[[str], Engine], url: str) -> Iterator[Engine]:
    opened = make(url)
    try:
        yield opened
    finally:
        opened.dispose()


# --- small things ----------------------------------------------------------------------------------------------------


class _Tally:
    """How many rows of each table have gone by."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.rows = dict.fromkeys(archive.shape(), 0)

    def counted(self, blocks: Iterable[Rows]) -> Iterator[Rows]:
        for block in blocks:
            yield block
            self.rows[block.table] = self.rows.get(block.table, 0) + len(block.rows)
            self._progress(block.table, self.rows[block.table])


def _summary(header: Header, files: list[File], tally: _Tally) -> Summary:
    names = [file.path for file in files]
    return Summary(
        member=header.member,
        name=header.name,
        document=_document(files).digest,
        created=header.created,
        schema=header.schema,
        engine=header.engine,
        files=names,
        rows=tally.rows,
    )


def _chain(*parts: Iterable[Record]) -> Iterator[Record]:
    for part in parts:
        yield from part


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
