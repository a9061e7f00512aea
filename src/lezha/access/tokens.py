"""Bearer tokens: 256 random bits, of which the node keeps only a SHA-256.

A slow password hash guards secrets that people choose; against 256 random bits it adds nothing and would cost
every request 100 ms.
"""

import hashlib
import hmac
import secrets

import msgspec

_PREFIX = "lzh"
_ID_BYTES, _SECRET_BYTES = 6, 32


class NewToken(msgspec.Struct, frozen=True):
    """A token just made. `text` is shown once; `id` and `digest` (hex SHA-256 of the secret) are kept."""

    id: str
    text: str
    digest: str


def mint() -> NewToken:
    """Make a token."""
    token_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    return NewToken(token_id, f"{_PREFIX}_{token_id}_{secret}", digest(secret))


def digest(secret: str) -> str:
    """Return the hex SHA-256 that stands for `secret` in the store."""
    return hashlib.sha256(secret.encode()).hexdigest()


def split(text: str) -> tuple[str, str] | None:
    """Return (id, secret) of a presented token, or None if it has not the form of one."""
    parts = text.split("_", 2)
    if len(text) > 200 or len(parts) != 3 or parts[0] != _PREFIX or not parts[1] or not parts[2]:
        return None
    return parts[1], parts[2]


def matches(secret: str, kept: str) -> bool:
    """Compare a presented secret with the kept digest in constant time."""
    return hmac.compare_digest(digest(secret), kept)
