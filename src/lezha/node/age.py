"""Encrypted streams in the age format, version 1 (https://age-encryption.org/v1): the standard `age` opens them.

To public keys by `pyrage`, the bindings of the Rust implementation. Its passphrases take whole messages in memory, so
the stream under a passphrase is written here, by the same specification: a header with one scrypt stanza, and
ChaCha20-Poly1305 over chunks of 64 KiB. Memory does not grow with the stream.

No error names a key or a passphrase.
"""

import base64
import io
import os
import re
import secrets
import select
import threading
from types import TracebackType
from typing import IO, Any, Final, Self

import pyrage
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from lezha.node.errors import NodeError
from lezha.node.packing import Source

WORK_FACTOR: Final = 18  # log2 of scrypt's N, as `age` has it: 256 MiB for about a second
_MAX_WORK_FACTOR: Final = 20
_MIN_LETTERS: Final = 12
_MAX_RECIPIENTS: Final = 20  # the reference implementation reads as many stanzas of one file
_VERSION: Final = b"age-encryption.org/v1\n"
_CHUNK: Final = 64 << 10
_TAG: Final = 16
_LOOKS_UP_S: Final = 0.2
_STANZA: Final = re.compile(rb"-> scrypt ([A-Za-z0-9+/]{22}) ([1-9][0-9]?)\n")
_BODY: Final = re.compile(rb"([A-Za-z0-9+/]{43})\n")
_MAC: Final = re.compile(rb"--- ([A-Za-z0-9+/]{43})\n")


class Recipients:
    """Public keys, `age1…`: whoever holds the secret key of any one of them can open the stream."""

    def __init__(self, *keys: str) -> None:
        """Raises NodeError if one is not a public key, or there is none or too many."""
        if not 0 < len(keys) <= _MAX_RECIPIENTS:
            raise NodeError(f"A backup is encrypted to 1 to {_MAX_RECIPIENTS} recipients.")
        self.keys: Final = [_recipient(key) for key in keys]


class Identities:
    """Secret keys in the text of an age identity file."""

    def __init__(self, text: str) -> None:
        """Raises NodeError if it holds none."""
        lines = [line.strip() for line in text.splitlines()]
        found = [line for line in lines if line and not line.startswith("#")]
        try:
            self.keys: Final = [pyrage.x25519.Identity.from_str(line) for line in found]
        except pyrage.IdentityError:
            raise NodeError(
                "The identity file holds a line that is not a secret key of age: each begins with "
                "AGE-SECRET-KEY-1. One that is itself encrypted must be decrypted with `age` before."
            ) from None
        if not self.keys:
            raise NodeError("The identity file is empty: `lezha backup keygen` makes one.")


class Passphrase:
    """A passphrase."""

    def __init__(self, text: str) -> None:
        """Raises NodeError if it is empty."""
        if not text:
            raise NodeError("The passphrase is empty: write it into the first line of its file.")
        self.text: Final = text

    def strong(self) -> Self:
        """Return it if it may protect a new backup. Raises NodeError."""
        if len(self.text) < _MIN_LETTERS:
            raise NodeError(f"The passphrase is too short: take at least {_MIN_LETTERS} characters.")
        return self


def generate() -> tuple[str, str]:
    """Make a pair of keys; return the secret one and the public one."""
    made = pyrage.x25519.Identity.generate()
    return str(made), str(made.to_public())


def encrypt(
    source: Source, target: IO[bytes], lock: Recipients | Passphrase, work_factor: int = WORK_FACTOR
) -> None:
    """Read `source` to its end and write it, encrypted, to `target`. What the two raise is raised here."""
    if isinstance(lock, Passphrase):
        _encrypt(source, target, lock, work_factor)
        return
    # pyrage turns what the two raise into text, and loses what the last write raises.
    reading, writing = _Guarded(source), _Guarded(target)
    try:
        pyrage.encrypt_io(reading, writing, lock.keys)
    except pyrage.EncryptError:
        if not reading.error and not writing.error:
            raise
    for one in (reading, writing):
        if one.error:
            raise one.error


def decrypt(source: IO[bytes], target: IO[bytes], key: Identities | Passphrase) -> None:
    """Read `source` to its end and write it, decrypted, to `target`. Each chunk is genuine before it is written.

    Raises NodeError if it is not an age stream, is for another key, or was altered or cut off, which may come to
    light at its very end; and what the two raise.
    """
    version, stanza = source.readline(len(_VERSION)), source.readline(256)
    if version != _VERSION:
        raise NodeError("This is not a backup: it is not in the age format. Check that it is the right file.")
    locked = stanza.startswith(b"-> scrypt ")
    if locked and not isinstance(key, Passphrase):
        raise NodeError("This backup is encrypted with a passphrase: give --passphrase-file.")
    if isinstance(key, Passphrase):
        if not locked:
            raise NodeError("This backup is encrypted to a public key: give --identity-file.")
        _decrypt(source, target, key, version + stanza)
        return
    _decrypt_to_identity(_Guarded(source, version + stanza), _Guarded(target), key)


class Decrypted:
    """What an encrypted stream holds, to be read as it is decrypted by a thread. Use as a context manager.

    A short read is the end, and is given only if all of the stream was genuine. `read` raises as `decrypt` does. A
    source that may give nothing for long must be a `FileIO`, so that whoever waits for it can leave.
    """

    def __init__(self, source: IO[bytes], key: Identities | Passphrase) -> None:
        reading, writing = os.pipe()
        self._pipe = os.fdopen(reading, "rb")
        self._error: BaseException | None = None
        self._left = threading.Event()
        taken = _Abandonable(source, self._left) if isinstance(source, io.FileIO) else source
        arguments = (taken, os.fdopen(writing, "wb"), key)
        self._thread = threading.Thread(target=self._run, args=arguments, name="lezha-decrypt", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """End the thread, whether or not all was read."""
        self._left.set()
        self._pipe.close()
        self._thread.join()

    def read(self, size: int) -> bytes:
        """Return `size` bytes, or fewer at the end."""
        found = self._pipe.read(size)
        if len(found) < size:
            self._thread.join()
            if self._error:
                raise self._error
        return found

    def _run(self, source: IO[bytes], target: IO[bytes], key: Identities | Passphrase) -> None:
        try:
            with target:
                decrypt(source, target, key)
        except BaseException as error:  # noqa: BLE001  # whatever it is, the reader raises it
            self._error = error


class _Abandonable(io.RawIOBase):
    """A pipe or a file from which nobody waits to read any more once `left` is set."""

    def __init__(self, inner: io.FileIO, left: threading.Event) -> None:
        super().__init__()
        self._inner = inner
        self._left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        while not select.select([self._inner], [], [], _LOOKS_UP_S)[0]:
            if self._left.is_set():
                raise BrokenPipeError
        return self._inner.readinto(buffer)


class _Guarded(io.BufferedIOBase):
    """A stream that remembers what was raised, with bytes put back in front of it."""

    def __init__(self, inner: Any, front: bytes = b"") -> None:
        super().__init__()
        self._inner = inner  # a stream to read from, or one to write to
        self._front = front
        self.error: BaseException | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        if self._front:
            front, self._front = self._front, b""
            return front  # shorter than any `size` that is asked for
        try:
            found: bytes = self._inner.read(-1 if size is None else size)
        except BaseException as error:
            self.error = error
            raise
        return found

    def write(self, data: "bytes | bytearray | memoryview", /) -> int:  # type: ignore[override]  # no mmap or array comes
        try:
            written: int = self._inner.write(data)
        except BaseException as error:
            self.error = error
            raise
        return written

    def flush(self) -> None:
        """Do nothing: who gave the stream flushes it."""


def _recipient(key: str) -> pyrage.x25519.Recipient:
    try:
        return pyrage.x25519.Recipient.from_str(key)
    except pyrage.RecipientError:
        # Somebody may have given the secret key: it is not printed.
        raise NodeError(
            "A recipient is not a public key of age: it begins with age1 and has 62 letters, as "
            "`lezha backup keygen` prints it."
        ) from None


def _decrypt_to_identity(reading: _Guarded, writing: _Guarded, key: Identities) -> None:
    try:
        pyrage.decrypt_io(reading, writing, key.keys)
    except pyrage.DecryptError as error:
        if not reading.error and not writing.error:
            if "No matching keys" in str(error):
                raise NodeError(
                    "None of the keys in the identity file opens this backup: it was encrypted to another one."
                ) from None
            raise _altered() from error
    except OSError as error:
        if not reading.error and not writing.error:
            raise _altered() from error
    for one in (reading, writing):
        if one.error:
            raise one.error


def _encrypt(source: Source, target: IO[bytes], passphrase: Passphrase, work_factor: int) -> None:
    file_key, salt = secrets.token_bytes(16), secrets.token_bytes(16)
    wrapped = ChaCha20Poly1305(_wrapping(passphrase, salt, work_factor)).encrypt(bytes(12), file_key, None)
    header = b"%s-> scrypt %s %d\n%s\n---" % (_VERSION, _base64(salt), work_factor, _base64(wrapped))
    nonce = secrets.token_bytes(16)
    target.write(b"%s %s\n%s" % (header, _base64(_mac(file_key, header).finalize()), nonce))
    cipher = ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
    number, chunk = 0, _full(source, _CHUNK)
    while True:
        following = _full(source, _CHUNK) if len(chunk) == _CHUNK else b""
        target.write(cipher.encrypt(_nonce(number, last=not following), chunk, None))
        if not following:
            return
        number, chunk = number + 1, following


def _decrypt(source: IO[bytes], target: IO[bytes], passphrase: Passphrase, front: bytes) -> None:
    file_key = _file_key(source, passphrase, front)
    cipher = ChaCha20Poly1305(_derived(file_key, _full(source, 16), b"payload"))
    number, chunk = 0, _full(source, _CHUNK + _TAG)
    while True:
        following = _full(source, _CHUNK + _TAG) if len(chunk) == _CHUNK + _TAG else b""
        try:
            plain = cipher.decrypt(_nonce(number, last=not following), chunk, None)
        except InvalidTag:
            raise _altered() from None
        if number and not plain:
            raise _altered()  # only an empty stream ends in an empty chunk
        target.write(plain)
        if not following:
            return
        number, chunk = number + 1, following


def _file_key(source: IO[bytes], passphrase: Passphrase, front: bytes) -> bytes:
    lines = source.readline(64), source.readline(64)
    stanza, body, mac = _STANZA.search(front), _BODY.fullmatch(lines[0]), _MAC.fullmatch(lines[1])
    if not stanza or not body or not mac:
        raise _altered()
    work_factor = int(stanza[2])
    if work_factor > _MAX_WORK_FACTOR:
        raise NodeError(
            f"This backup's passphrase has work factor {work_factor}, which would take too much memory here; "
            f"at most {_MAX_WORK_FACTOR} is read. Open it with `age`."
        )
    try:
        wrapping = ChaCha20Poly1305(_wrapping(passphrase, _unbase64(stanza[1]), work_factor))
        file_key = wrapping.decrypt(bytes(12), _unbase64(body[1]), None)
    except InvalidTag:
        raise NodeError("The passphrase does not open this backup.") from None
    header = front + lines[0] + b"---"
    if not secrets.compare_digest(_unbase64(mac[1]), _mac(file_key, header).finalize()):
        raise _altered()
    return file_key


def _wrapping(passphrase: Passphrase, salt: bytes, work_factor: int) -> bytes:
    label = b"age-encryption.org/v1/scrypt"
    return Scrypt(salt=label + salt, length=32, n=1 << work_factor, r=8, p=1).derive(passphrase.text.encode())


def _derived(file_key: bytes, salt: bytes, use: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=use).derive(file_key)


def _mac(file_key: bytes, header: bytes) -> hmac.HMAC:
    made = hmac.HMAC(_derived(file_key, b"", b"header"), hashes.SHA256())
    made.update(header)
    return made


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _full(source: Source, size: int) -> bytes:
    """Read `size` bytes, fewer only at the end."""
    found = source.read(size)
    while len(found) < size and (more := source.read(size - len(found))):
        found += more
    return found


def _base64(raw: bytes) -> bytes:
    return base64.b64encode(raw).rstrip(b"=")


def _unbase64(text: bytes) -> bytes:
    raw = base64.b64decode(text + b"=" * (-len(text) % 4))
    if _base64(raw) != text:
        raise _altered()
    return raw


def _altered() -> NodeError:
    return NodeError("This backup was altered or cut off after it was made: take another copy of it.")
