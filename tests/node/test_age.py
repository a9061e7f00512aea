"""Encrypted streams: other programs read them and are read, and nothing altered is believed."""

import io
import os
import pty
import subprocess
import tracemalloc
from pathlib import Path
from typing import IO

import pyrage
import pytest

from lezha.node import age
from lezha.node.age import Decrypted, Identities, Passphrase, Recipients
from lezha.node.errors import NodeError

# Around the edges of chunks of 64 KiB.
SIZES = [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000]
WORDS = Passphrase("correct horse battery staple")
FAST = 10
SECRET, PUBLIC = age.generate()
OTHER, _ = age.generate()
Lock = Recipients | Passphrase
Key = Identities | Passphrase
BOTH: list[tuple[Lock, Key]] = [(Recipients(PUBLIC), Identities(SECRET)), (WORDS, WORDS)]
both = pytest.mark.parametrize(("lock", "key"), BOTH, ids=["recipient", "passphrase"])


def data(size: int) -> bytes:
    return (bytes(range(256)) * (size // 256 + 1))[:size]


def encrypted(plain: bytes, lock: Lock) -> bytes:
    out = io.BytesIO()
    age.encrypt(io.BytesIO(plain), out, lock, FAST)
    return out.getvalue()


def decrypted(raw: bytes, key: Key) -> bytes:
    out = io.BytesIO()
    age.decrypt(io.BytesIO(raw), out, key)
    return out.getvalue()


class Endless(io.BytesIO):
    """As many bytes as are asked for, up to a number."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.left = size

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        taken = min(size, self.left)
        self.left -= taken
        return bytes(taken)


class Full(io.BytesIO):
    """A disk with some room."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, data: object, /) -> int:
        assert isinstance(data, bytes | bytearray | memoryview)
        if self.tell() + len(data) > self.room:
            raise OSError(28, "No space left on device")
        return super().write(data)


class Nothing(io.BytesIO):
    """Forgets what is written."""

    def write(self, data: object, /) -> int:
        assert isinstance(data, bytes | bytearray | memoryview)
        return len(data)


# --- there and back -------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("size", SIZES)
def test_what_is_encrypted_is_decrypted_to_the_same(size: int, lock: Lock, key: Key) -> None:
    assert decrypted(encrypted(data(size), lock), key) == data(size)


@pytest.mark.parametrize("size", SIZES)
def test_another_implementation_reads_what_is_under_a_passphrase(size: int) -> None:
    assert pyrage.passphrase.decrypt(encrypted(data(size), WORDS), WORDS.text) == data(size)


def test_what_another_implementation_put_under_a_passphrase_is_read() -> None:
    raw = pyrage.passphrase.encrypt(data(70_000), WORDS.text)
    assert decrypted(raw, WORDS) == data(70_000)


@pytest.mark.needs("age")
def test_the_standard_program_reads_what_is_for_a_recipient(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(SECRET)
    done = subprocess.run(
        ["age", "-d", "-i", tmp_path / "key"],
        input=encrypted(data(200_000), Recipients(PUBLIC)),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, data(200_000))


@pytest.mark.needs("age")
def test_the_standard_program_reads_what_is_under_a_passphrase(tmp_path: Path) -> None:
    (tmp_path / "in.age").write_bytes(encrypted(data(200_000), WORDS))
    pid, terminal = pty.fork()  # it asks a terminal for the passphrase
    if pid == 0:
        os.execlp("age", "age", "-d", "-o", str(tmp_path / "out"), str(tmp_path / "in.age"))
    asked = b""
    while b"passphrase" not in asked:
        asked += os.read(terminal, 100)
    os.write(terminal, WORDS.text.encode() + b"\n")
    try:
        while os.read(terminal, 100):
            pass
    except OSError:
        pass  # it has ended
    assert os.waitpid(pid, 0)[1] == 0
    os.close(terminal)
    assert (tmp_path / "out").read_bytes() == data(200_000)


def test_each_of_several_recipients_can_open_it() -> None:
    second, public = age.generate()
    raw = encrypted(b"plain", Recipients(PUBLIC, public))
    assert [decrypted(raw, Identities(one)) for one in (SECRET, second)] == [b"plain"] * 2


def test_an_identity_file_may_have_several_keys_and_comments() -> None:
    key = Identities(f"# created: 2026\n\n{OTHER}\n  {SECRET}  \r\n")
    assert decrypted(encrypted(b"plain", Recipients(PUBLIC)), key) == b"plain"


# --- what is refused ------------------------------------------------------------------------------------------------


@both
def test_a_flipped_bit_anywhere_is_refused(lock: Lock, key: Key) -> None:
    raw = encrypted(data(300), lock)
    for place in range(len(raw)):
        altered = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises(NodeError):
            decrypted(altered, key)


@both
def test_a_stream_that_is_cut_off_anywhere_is_refused(lock: Lock, key: Key) -> None:
    raw = encrypted(data(131_072), lock)
    front = len(raw) - 131_072 - 2 * 16 - 16
    edges = {front + 16, front + 16 + 65_552, len(raw) - 65_552}
    places = {*range(front + 40), *(edge + step for edge in edges for step in (-1, 0, 1)), len(raw) - 1}
    for place in sorted(places):
        with pytest.raises(NodeError):
            decrypted(raw[:place], key)


@both
def test_more_bytes_at_the_end_are_refused(lock: Lock, key: Key) -> None:
    for size in (100, 65_536):
        with pytest.raises(NodeError):
            decrypted(encrypted(data(size), lock) + b"x", key)


@both
def test_chunks_in_another_order_are_refused(lock: Lock, key: Key) -> None:
    raw = encrypted(data(131_072), lock)
    front = len(raw) - 2 * 65_552
    first, second = raw[front : front + 65_552], raw[front + 65_552 :]
    for chunks in (second + first, first, second, first + first + second):
        with pytest.raises(NodeError):
            decrypted(raw[:front] + chunks, key)


@pytest.mark.parametrize(
    ("lock", "key", "words"),
    [
        (Recipients(PUBLIC), Identities(OTHER), "None of the keys"),
        (WORDS, Passphrase("something else"), "The passphrase does not open"),
        (WORDS, Identities(SECRET), "give --passphrase-file"),
        (Recipients(PUBLIC), WORDS, "give --identity-file"),
    ],
    ids=["other key", "other passphrase", "key for passphrase", "passphrase for key"],
)
def test_the_wrong_key_is_named_as_what_it_is(lock: Lock, key: Key, words: str) -> None:
    with pytest.raises(NodeError, match=words):
        decrypted(encrypted(b"plain", lock), key)


@both
@pytest.mark.parametrize(
    "raw", [b"", b"x", b"SQLite format 3\0" * 9, b"age-encryption.org/v2\n", bytes(70_000)]
)
def test_what_is_not_age_is_refused(raw: bytes, lock: Lock, key: Key) -> None:
    with pytest.raises(NodeError, match="not in the age format"):
        decrypted(raw, key)


def test_a_work_factor_that_would_fill_the_memory_is_refused_at_once() -> None:
    raw = encrypted(b"plain", WORDS).replace(b" 10\n", b" 30\n", 1)
    with pytest.raises(NodeError, match="too much memory"):
        decrypted(raw, WORDS)


@pytest.mark.parametrize("text", [SECRET, "age1", "", "age1" + "q" * 58], ids=range(4))
def test_what_is_no_recipient_is_refused_and_not_printed(text: str) -> None:
    with pytest.raises(NodeError) as caught:
        Recipients(PUBLIC, text)
    assert SECRET[:20] not in str(caught.value)


@pytest.mark.parametrize("text", ["", "# nothing\n", PUBLIC, SECRET[:-1], f"{SECRET}\nsecond"], ids=range(5))
def test_what_is_no_identity_file_is_refused_and_not_printed(text: str) -> None:
    with pytest.raises(NodeError) as caught:
        Identities(text)
    assert SECRET[20:30] not in str(caught.value)


def test_short_passphrases_protect_nothing_new() -> None:
    with pytest.raises(NodeError, match="too short"):
        Passphrase("short").strong()
    with pytest.raises(NodeError, match="empty"):
        Passphrase("")


# --- errors of what is read and written -----------------------------------------------------------------------------


@both
@pytest.mark.parametrize("room", [0, 100, 5_000, 70_000])
def test_a_full_disk_is_never_taken_for_success(room: int, lock: Lock, key: Key) -> None:
    # 5,000: the last write, which the library makes when nobody looks any more.
    plain = data(room * 2)
    with pytest.raises(OSError, match="No space"):
        age.encrypt(io.BytesIO(plain or b"x"), Full(room), lock, FAST)
    with pytest.raises(OSError, match="No space"):
        age.decrypt(io.BytesIO(encrypted(plain or b"x", lock)), Full(room), key)


@both
def test_what_the_source_raises_is_raised(lock: Lock, key: Key) -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        age.encrypt(Broken(), io.BytesIO(), lock, FAST)


@both
def test_a_reader_may_leave_early(lock: Lock, key: Key) -> None:
    raw = encrypted(data(1_000_000), lock)
    with Decrypted(io.BytesIO(raw), key) as inside:
        assert inside.read(10) == data(10)


@both
def test_a_reader_hears_at_the_end_that_it_was_altered(lock: Lock, key: Key) -> None:
    raw = encrypted(data(200_000), lock)
    with Decrypted(io.BytesIO(raw[:-1]), key) as inside:
        assert inside.read(65_536) == data(65_536)
        with pytest.raises(NodeError, match="altered or cut off"):
            inside.read(200_000)


@both
def test_memory_does_not_grow_with_the_stream(lock: Lock, key: Key, tmp_path: Path) -> None:
    file = tmp_path / "large.age"
    tracemalloc.start()
    with file.open("wb") as out:
        age.encrypt(Endless(20 << 20), out, lock, FAST)
    with file.open("rb") as source:
        target: IO[bytes] = Nothing()
        age.decrypt(source, target, key)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert file.stat().st_size > 20 << 20
    assert peak < 2 << 20
