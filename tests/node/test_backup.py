"""A node in an encrypted file and out of it again: all of it or nothing, and only with the key."""

import contextlib
import io
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy.engine import make_url
from tests.store.conftest import new_url
from tests.store.filling import fill, held

from lezha.cli.node import make
from lezha.federation.document import Contact
from lezha.node import age, backup, packing
from lezha.node import identity as identities
from lezha.node import settings as node_settings
from lezha.node.age import Identities, Passphrase, Recipients
from lezha.node.clock import utc_now
from lezha.node.errors import NodeError
from lezha.node.packing import File, Header, Pieces, Record
from lezha.node.settings import Settings
from lezha.store import archive, engine, schema
from lezha.store.archive import Rows
from lezha.store.errors import StoreError
from lezha.store.log import Log

SECRET, PUBLIC = age.generate()
TO, KEY = Recipients(PUBLIC), Identities(SECRET)
FILES = [
    "lezha.toml",
    "node.json",
    "admin.token",
    "keys/carry.key",
    "keys/root.pem",
    "keys/signing.pem",
    "keys/tls-leaf.pem",
    "keys/tls-root.pem",
]


def quiet(_table: str, _rows: int) -> None:
    pass


def url_of(home: Path) -> str:
    return node_settings.load(home).database or f"sqlite:///{home / 'lezha.db'}"


def held_by(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    readers = engine.readers(url_of(home))
    try:
        with readers.connect() as conn, conn.begin():
            return held(conn)
    finally:
        readers.dispose()


def new_node(home: Path, database: str = "", rows: int = 20, size: int = 200) -> Path:
    """Make a node with rows in every table."""
    settings = Settings(member=identities.new_member(), name="tirana", endpoint="https://192.0.2.10:8441")
    make(home, settings, "Tirana", Contact())
    if database:
        file = home / "lezha.toml"
        file.write_text(
            file.read_text().replace('database = ""', f"database = {msgspec.json.encode(database).decode()}")
        )
        (home / "lezha.db").unlink()
    log = Log(url_of(home), utc_now)
    log.write_now(lambda tx: fill(tx.conn, rows, size))
    log.write_now(lambda tx: engine.set_meta(tx.conn, "incarnation", "a"))
    log.close()
    return home


def create(home: Path) -> bytes:
    out = io.BytesIO()
    backup.create(home, out, TO, quiet)
    return out.getvalue()


def restore(raw: bytes, home: Path, database: str = "", key: Identities | Passphrase = KEY) -> backup.Summary:
    return backup.restore(io.BytesIO(raw), home, database, key, quiet)


def records_of(raw: bytes) -> list[Record]:
    with age.Decrypted(io.BytesIO(raw), KEY) as inside:
        return list(packing.unpacked(inside))


def sealed(records: list[Record]) -> bytes:
    """A backup that a hostile hand packed for this key."""
    out = io.BytesIO()
    age.encrypt(Pieces(packing.packed(records)), out, TO)
    return out.getvalue()


def modes(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): path.stat().st_mode & 0o7777 for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_node(tmp_path_factory.mktemp("backup") / "node")


@pytest.fixture(scope="module")
def raw(node: Path) -> bytes:
    return create(node)


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[bytes, str], None]:
    """Check that a backup is refused with these words, that nothing is left of it, and that `check` refuses it too."""

    def check(raw: bytes, words: str) -> None:
        with pytest.raises((NodeError, StoreError), match=words):
            restore(raw, tmp_path / "new" / "node")
        assert not (tmp_path / "new").exists()
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises((NodeError, StoreError), match=words):
            restore(raw, tmp_path / "empty")
        assert list((tmp_path / "empty").iterdir()) == []

    return check


# --- there and back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [("sqlite", "sqlite"), ("sqlite", "postgres"), ("postgres", "sqlite"), ("postgres", "postgres")],
)
def test_a_node_comes_back_whole_in_either_engine(
    one: str, other: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    first = new_url(one, request, tmp_path / "x") if one == "postgres" else ""
    second = new_url(other, request, tmp_path / "y") if other == "postgres" else ""
    home, back = new_node(tmp_path / "home", first), tmp_path / "back"
    raw = create(home)
    done = restore(raw, back, second)
    assert held_by(back) == _as_of_the_backup(held_by(home))
    assert done.files == FILES
    assert done.document == identities.load(home).known.digest
    before = held_by(back)
    # The incarnation is in the backup, and not restored.
    assert done.rows == {table: len(before[table]) + (table == "meta") for table in archive.shape()}
    for name in FILES[1:]:
        assert (back / name).read_bytes() == (home / name).read_bytes()
    assert node_settings.load(back) == msgspec.structs.replace(node_settings.load(home), database=second)
    assert identities.load(back).member == identities.load(home).member


def _as_of_the_backup(rows: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """Return what a node held before it noted that its backup was complete."""
    (note,) = [row for row in rows["meta"] if row[0] == "backup"]
    ((one, seq, _, *others),) = rows["sequencer"]
    at = max(row[1] for row in rows["events"] if row[0] == seq)
    return rows | {
        "meta": [row for row in rows["meta"] if row != note],
        "sequencer": [(one, seq, at, *others)],
    }


def test_what_is_restored_is_its_owner_s_alone(raw: bytes, tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        restore(raw, tmp_path / "back")
    finally:
        os.umask(mask)
    assert (tmp_path / "back").stat().st_mode & 0o7777 == 0o700
    assert modes(tmp_path / "back") == dict.fromkeys([*FILES, "lezha.db"], 0o600) | {"keys": 0o700}


def test_what_is_restored_begins_a_new_incarnation(raw: bytes, tmp_path: Path) -> None:
    restore(raw, tmp_path / "back")
    log = Log(url_of(tmp_path / "back"), utc_now)
    with log.read() as conn:
        assert engine.get_meta(conn, "incarnation") is None
    log.close()


def test_a_root_key_that_was_taken_away_is_not_missed(tmp_path: Path) -> None:
    home = new_node(tmp_path / "home", rows=1)
    (home / "keys" / "root.pem").unlink()
    assert restore(create(home), tmp_path / "back").files == [
        name for name in FILES if "root.pem" not in name or "tls" in name
    ]


def test_half_written_files_and_the_lock_are_not_backed_up(tmp_path: Path) -> None:
    home = new_node(tmp_path / "home", rows=1)
    (home / "keys" / ".signing.pem.0a1b2c3d").write_bytes(b"half")
    (home / "keys" / "folder").mkdir()
    (home / "serve.lock").touch()
    (home / "notes.txt").touch()
    assert [record.path for record in records_of(create(home)) if isinstance(record, File)] == FILES


def test_the_operator_s_words_in_the_settings_stay(tmp_path: Path) -> None:
    home = new_node(tmp_path / "home", rows=1)
    text = "# ours\n" + (home / "lezha.toml").read_text() + "# the end\n"
    (home / "lezha.toml").write_text(text)
    restore(create(home), tmp_path / "back")
    assert (tmp_path / "back" / "lezha.toml").read_text() == text


def test_settings_without_a_database_get_one(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    home = new_node(tmp_path / "home", rows=1)
    file = home / "lezha.toml"
    file.write_text(file.read_text().replace('database = ""\n', ""))
    url = new_url("postgres", request, tmp_path)
    restore(create(home), tmp_path / "back", url)
    assert node_settings.load(tmp_path / "back").database == url


def test_progress_is_told_by_table(node: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    out = io.BytesIO()
    done = backup.create(node, out, TO, lambda table, rows: told.append((table, rows)))
    assert dict(told) == {table: rows for table, rows in done.rows.items() if rows}
    again: list[tuple[str, int]] = []
    backup.restore(
        io.BytesIO(out.getvalue()), tmp_path / "b", "", KEY, lambda table, rows: again.append((table, rows))
    )
    assert again == told


def test_a_check_reads_all_and_writes_nothing(
    raw: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert backup.check(io.BytesIO(raw), KEY, quiet) == restore(raw, tmp_path / "back")
    assert [path.name for path in tmp_path.iterdir()] == ["back"]
    with pytest.raises(NodeError):
        backup.check(io.BytesIO(raw[:-1]), KEY, quiet)


# --- refused, and nothing left --------------------------------------------------------------------------------------


def test_another_key_opens_nothing(raw: bytes, tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="None of the keys"):
        restore(raw, tmp_path / "back", key=Identities(age.generate()[0]))
    assert not (tmp_path / "back").exists()


def test_a_backup_that_was_cut_off_is_refused_wherever(
    raw: bytes, refused: Callable[[bytes, str], None]
) -> None:
    for place in [0, 20, 200, 300, *range(1000, len(raw), len(raw) // 6), len(raw) - 20, len(raw) - 1]:
        refused(raw[:place], "cut off|not in the age format")


def test_a_flipped_bit_is_refused_wherever(raw: bytes, refused: Callable[[bytes, str], None]) -> None:
    for place in [0, 30, 100, 250, 300, *range(1000, len(raw), len(raw) // 6), len(raw) - 1]:
        altered = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        refused(altered, "altered|not in the age format|None of the keys")


def test_a_backup_without_its_end_is_refused_though_it_is_well_encrypted(
    raw: bytes, refused: Callable[[bytes, str], None]
) -> None:
    out = io.BytesIO()
    inside = b"".join(packing.packed(records_of(raw)))
    age.encrypt(io.BytesIO(inside[: len(inside) // 2]), out, TO)
    refused(out.getvalue(), "ends too early")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/cron.d/x", "../x", "keys/../x", "keys/../../x", "..", ".", "", "keys", "keys/", "keys/a/b", "keys//a",
        "a/b", "./lezha.toml", "lezha.db", "serve.lock", "x.py", ".ssh", "keys/.x", "keys/a\n", "keys/a\0b", "keys\\a",
        "k\u0435ys/a", "node.json/x",
    ],
)  # fmt: skip
def test_a_path_that_no_node_has_is_refused(
    path: str, raw: bytes, refused: Callable[[bytes, str], None]
) -> None:
    header, *rest = records_of(raw)
    refused(sealed([header, File(path, b"x"), *rest]), "which no node has")


def test_a_file_named_twice_is_refused(raw: bytes, refused: Callable[[bytes, str], None]) -> None:
    header, *rest = records_of(raw)
    refused(sealed([header, File("node.json", b"{}"), *rest]), "a file twice")


@pytest.mark.parametrize("name", ["lezha.toml", "node.json", "keys/signing.pem"])
def test_a_file_that_is_missing_is_missed(
    name: str, raw: bytes, refused: Callable[[bytes, str], None]
) -> None:
    left = [one for one in records_of(raw) if not isinstance(one, File) or one.path != name]
    refused(sealed(left), "lacks|signing")


@pytest.mark.parametrize("name", ["lezha.toml", "node.json", "keys/signing.pem"])
def test_the_files_must_be_those_of_the_member(
    name: str, raw: bytes, tmp_path: Path, refused: Callable[[bytes, str], None]
) -> None:
    other = new_node(tmp_path / "other", rows=1)
    changed = [
        File(name, (other / name).read_bytes()) if isinstance(one, File) and one.path == name else one
        for one in records_of(raw)
    ]
    refused(sealed(changed), "not that of its member|is not the key that the node document names")


def test_a_node_document_that_cannot_be_read_is_refused(
    raw: bytes, refused: Callable[[bytes, str], None]
) -> None:
    changed = [
        File("node.json", b"{}") if getattr(one, "path", "") == "node.json" else one
        for one in records_of(raw)
    ]
    refused(sealed(changed), "node document can't be read")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": schema.VERSION + 1}, "upgrade the node afterwards"),
        ({"schema": schema.VERSION - 1}, "upgrade the node afterwards"),
        ({"tables": {}}, "schema version"),
        ({"version": 2}, "format 2"),
        ({"format": "other"}, "not a backup of lezha"),
    ],
    ids=["newer", "older", "other tables", "other format", "other program"],
)
def test_what_another_version_made_is_refused_in_a_sentence(
    changes: dict[str, Any], words: str, raw: bytes, refused: Callable[[bytes, str], None]
) -> None:
    header, *rest = records_of(raw)
    assert isinstance(header, Header)
    refused(sealed([msgspec.structs.replace(header, **changes), *rest]), words)


def test_rows_that_the_database_refuses_leave_nothing(
    raw: bytes, refused: Callable[[bytes, str], None]
) -> None:
    records = records_of(raw)
    last = records[-1]
    assert isinstance(last, Rows)
    refused(sealed([*records, last]), "The database refuses")


def test_no_backup_is_restored_over_anything(raw: bytes, node: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in node.rglob("*") if path.is_file()}
    with pytest.raises(NodeError, match="not empty"):
        restore(raw, node)
    assert {path: path.read_bytes() for path in node.rglob("*") if path.is_file()} == before
    (tmp_path / "file").touch()
    with pytest.raises(NodeError, match="can't be restored into"):
        restore(raw, tmp_path / "file")


def test_a_postgresql_database_that_holds_anything_is_refused_and_stays(
    raw: bytes, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = new_url("postgres", request, tmp_path)
    restore(raw, tmp_path / "first", url)
    before = held_by(tmp_path / "first")
    with pytest.raises(StoreError, match="not empty"):
        restore(raw, tmp_path / "second", url)
    assert held_by(tmp_path / "first") == before
    assert not (tmp_path / "second").exists()


def test_a_restore_into_postgresql_that_fails_leaves_no_table(
    raw: bytes, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    from sqlalchemy import inspect

    url = new_url("postgres", request, tmp_path)
    with pytest.raises(NodeError, match="altered or cut off"):
        restore(raw[:-1], tmp_path / "back", url)
    readers = engine.readers(url)
    with readers.connect() as conn:
        assert inspect(conn).get_table_names() == []
    readers.dispose()


@pytest.mark.parametrize(
    "url", ["sqlite:///x.db", "mysql://u:hunter22@h/x", "nonsense hunter22", "postgresql"]
)
def test_only_postgresql_is_another_database(url: str, raw: bytes, tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="PostgreSQL database") as caught:
        restore(raw, tmp_path / "back", url)
    assert "hunter22" not in str(caught.value)
    assert not (tmp_path / "back").exists()


def test_a_password_in_a_database_s_url_is_never_told(raw: bytes, tmp_path: Path) -> None:
    url = "postgresql+psycopg://u:hunter22@127.0.0.1:1/x?password=sesame33"
    with pytest.raises(NodeError, match=r"can't be used") as caught:
        restore(raw, tmp_path / "back", url)
    home = new_node(tmp_path / "home", rows=1)
    text = (home / "lezha.toml").read_text()
    (home / "lezha.toml").write_text(text.replace('database = ""', f'database = "{url}"'))
    with pytest.raises(NodeError, match=r"can't be used") as again:
        create(home)
    for error in (caught, again):
        assert "hunter22" not in str(error.value)
        assert "sesame33" not in str(error.value)
        assert "127.0.0.1" in str(error.value)


# --- what can't be backed up ----------------------------------------------------------------------------------------


def test_a_folder_without_a_node_is_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="There is no node"):
        create(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_node_without_its_database_is_nothing_to_back_up_and_gets_none(tmp_path: Path) -> None:
    home = new_node(tmp_path / "home", rows=1)
    for file in home.glob("lezha.db*"):
        file.unlink()
    with pytest.raises(NodeError, match="no database"):
        create(home)
    assert not (home / "lezha.db").exists()


def test_a_backup_is_never_overwritten(node: Path, tmp_path: Path) -> None:
    (tmp_path / "x.age").write_bytes(b"precious")
    with pytest.raises(NodeError, match="never overwritten"):
        backup.create(node, tmp_path / "x.age", TO, quiet)
    assert (tmp_path / "x.age").read_bytes() == b"precious"


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    public = backup.keygen(tmp_path / "key")
    before = (tmp_path / "key").read_text()
    assert public in before
    assert (tmp_path / "key").stat().st_mode & 0o7777 == 0o600
    with pytest.raises(NodeError, match="never overwritten"):
        backup.keygen(tmp_path / "key")
    assert (tmp_path / "key").read_text() == before
    with pytest.raises(NodeError, match="can't be written"):
        backup.keygen(tmp_path / "none" / "key")


def test_a_backup_is_its_owner_s_alone_and_leaves_nothing_beside_it(node: Path, tmp_path: Path) -> None:
    backup.create(node, tmp_path / "x.age", TO, quiet)
    assert modes(tmp_path) == {"x.age": 0o600}


def test_a_node_is_backed_up_while_it_writes(tmp_path: Path) -> None:
    home = new_node(tmp_path / "home", rows=300)
    before = held_by(home)
    log = Log(url_of(home), utc_now)
    written: list[None] = []

    def write(_table: str, _rows: int) -> None:
        log.write_now(lambda tx: engine.set_meta(tx.conn, f"test {len(written)}", "x"))
        written.append(None)

    out = io.BytesIO()
    backup.create(home, out, TO, write)
    log.close()
    restore(out.getvalue(), tmp_path / "back")
    after = held_by(tmp_path / "back")
    # That the backup is made is in it, and nothing else that came later.
    (made,) = [row for row in after["events"] if row not in before["events"]]
    assert made[2] == "backup"
    assert len(after["events"]) == len(before["events"]) + 1
    told = {"events", "sequencer"}
    assert {name: rows for name, rows in after.items() if name not in told} == {
        name: rows for name, rows in before.items() if name not in told
    }
    assert len(written) > 10
    assert held_by(home)["meta"] != before["meta"]


# --- a full disk ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def room(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size`: a disk that is full answers in the same way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_node(tmp_path_factory.mktemp("large") / "node", rows=300, size=500)


def test_a_full_disk_leaves_no_half_backup(
    large: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = Log(url_of(large), utc_now)  # so that SQLite need not grow its own files
    whole = len(create(large))
    for size in (0, 100, whole // 2, whole - 1000):
        with room(size), pytest.raises(NodeError, match="Nothing was left there"):
            backup.create(large, tmp_path / "x.age", TO, quiet)
        assert list(tmp_path.iterdir()) == []
    running.close()
    assert caplog.records == []


def test_a_full_disk_leaves_no_half_node(large: Path, tmp_path: Path) -> None:
    raw = create(large)
    whole = (large / "lezha.db").stat().st_size
    for size in (0, 1000, 4096, 50_000, whole // 3, whole - 4096):
        with room(size), pytest.raises((NodeError, StoreError)):
            restore(raw, tmp_path / "back")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.soak  # not long, but it needs root and the right to mount; those above run everywhere
def test_a_disk_that_is_really_full_leaves_nothing(large: Path, tmp_path: Path) -> None:
    raw = create(large)
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("this machine does not let us mount")
    try:
        with pytest.raises(NodeError, match="No space left"):
            backup.create(large, disk / "x.age", TO, quiet)
        assert list(disk.iterdir()) == []
        with pytest.raises((NodeError, StoreError), match=r"No space left|full"):
            restore(raw, disk / "back")
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)


# --- the standard program -------------------------------------------------------------------------------------------


@pytest.mark.needs("age")
def test_age_and_gunzip_open_a_backup(node: Path, tmp_path: Path) -> None:
    backup.create(node, tmp_path / "x.age", TO, quiet)
    (tmp_path / "key").write_text(SECRET)
    opened = subprocess.run(
        f"age -d -i {tmp_path / 'key'} {tmp_path / 'x.age'} | gunzip",
        shell=True,
        capture_output=True,
        check=True,
    )
    size = int.from_bytes(opened.stdout[:4], "big")
    first = msgspec.msgpack.decode(opened.stdout[4 : 4 + size])
    assert (first["kind"], first["format"], first["name"]) == ("header", "lezha backup", "tirana")


# --- size -----------------------------------------------------------------------------------------------------------

# Pages of files that the kernel lends (SQLite maps its database) are not the program's: only what is its own counts.
_MEASURED = """
import sys, threading
from pathlib import Path
from lezha.node import backup
from lezha.node.age import Identities, Recipients
home, file, back, public, secret = sys.argv[1:]
peak, done = 0, threading.Event()
def look():
    global peak
    while not done.wait(0.005):
        with open("/proc/self/status") as status:
            peak = max(peak, *(int(line.split()[1]) for line in status if line.startswith("RssAnon:")))
looking = threading.Thread(target=look)
looking.start()
backup.create(Path(home), Path(file), Recipients(public), lambda *_: None)
with open(file, "rb") as source:
    backup.restore(source, Path(back), "", Identities(secret), lambda *_: None)
done.set()
looking.join()
print(peak)
"""


def _peak(folder: Path, rows: int) -> int:
    """KiB of a process that backs up and restores a node with so many rows in each table."""
    home = new_node(folder / f"{rows}", rows=rows, size=1000)
    arguments = [str(home), str(folder / f"{rows}.age"), str(folder / f"{rows}.back"), PUBLIC, SECRET]
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize(
    ("few", "many"),
    [(200, 2_500), pytest.param(1_000, 10_000, marks=[pytest.mark.soak, pytest.mark.timeout(0)])],
)
def test_memory_does_not_grow_with_the_node(few: int, many: int, tmp_path: Path) -> None:
    # Rows of each of some twenty tables, 200 MiB at least. SQLite's own cache of 96 MiB fills up in between.
    assert _peak(tmp_path, many) < _peak(tmp_path, few) + (120 << 10)


def test_urls_in_these_tests_are_read_as_they_are_meant() -> None:
    made = make_url("postgresql+psycopg://u:hunter22@127.0.0.1:1/x?password=sesame33")
    assert (made.password, made.query["password"]) == ("hunter22", "sesame33")
