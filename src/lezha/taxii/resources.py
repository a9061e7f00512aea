"""The resources of TAXII 2.1 as JSON objects: a property that is empty is left out (§1.5)."""

import hashlib
import uuid
from typing import Final

import msgspec

from lezha.taxii import media

_NAMESPACE: Final = "lezha collection"


class Discovery(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a server is and where its API roots are (§4.1.1)."""

    title: str
    description: str = ""
    contact: str = ""
    default: str = ""
    api_roots: tuple[str, ...] = ()


class ApiRoot(msgspec.Struct, frozen=True):
    """An API root (§4.2.1). `max_content_length` is in bytes."""

    title: str
    max_content_length: int
    versions: tuple[str, ...] = (media.TAXII,)


class Collection(msgspec.Struct, frozen=True, omit_defaults=True):
    """A collection (§5.2.1)."""

    id: str
    title: str
    can_read: bool = msgspec.field(default_factory=lambda: True)
    can_write: bool = msgspec.field(default_factory=lambda: False)
    description: str = ""
    alias: str = ""
    media_types: tuple[str, ...] = msgspec.field(default_factory=lambda: (media.STIX,))


class Collections(msgspec.Struct, frozen=True, omit_defaults=True):
    """The collections of an API root (§5.1.1)."""

    collections: tuple[Collection, ...] = ()


class ManifestRecord(msgspec.Struct, frozen=True):
    """That a version of an object is there since when (§5.3.1)."""

    id: str
    date_added: str
    version: str
    media_type: str = media.STIX


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of a manifest (§5.3.1). `next` is given as of a list of objects (§3.4)."""

    more: bool = False
    next: str = ""
    objects: tuple[ManifestRecord, ...] = ()


class Versions(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of the versions of one object (§5.8.1)."""

    more: bool = False
    next: str = ""
    versions: tuple[str, ...] = ()


class StatusDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one object (§4.3.1)."""

    id: str
    version: str
    message: str = ""


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a request to add objects (§4.3.1). Here all is done when it is answered."""

    id: str
    status: str
    request_timestamp: str
    total_count: int = msgspec.field(default_factory=int)
    success_count: int = msgspec.field(default_factory=int)
    failure_count: int = msgspec.field(default_factory=int)
    pending_count: int = msgspec.field(default_factory=int)
    failures: tuple[StatusDetail, ...] = ()


class ErrorMessage(msgspec.Struct, frozen=True):
    """Why a request failed (§3.6.1)."""

    title: str
    http_status: str


def collection_id(recipient: str, alias: str) -> str:
    """Return the id of a recipient's collection: the same for the same recipient, and unlike any other's."""
    digest = hashlib.sha256(f"{_NAMESPACE}\n{recipient}\n{alias}".encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))  # §5.2.1 wants a UUID of version 4


def envelope(objects: list[bytes], following: str) -> bytes:
    """Return an envelope (§3.7) of objects, each byte for byte; `following` is `next` if there is more."""
    parts = []
    if following:
        parts.append(b'"more":true,"next":' + msgspec.json.encode(following))
    if objects:
        parts.append(b'"objects":[' + b",".join(objects) + b"]")
    return b"{" + b",".join(parts) + b"}"
