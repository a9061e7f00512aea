"""Objects that this node writes itself: stable ids, and bytes that are the same wherever they are written."""

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID, uuid5

# lezha's own namespace for UUIDv5, apart from the one that STIX 2.1 §2.9 reserves for SCOs. A random UUID,
# drawn once.
_NAMESPACE: Final = UUID("be668de5-bb96-41c3-90a8-894c105247b8")


def encode(data: Mapping[str, Any]) -> bytes:
    """Return `data` as compact JSON in UTF-8, its keys in the order given.

    Raises ValueError for NaN, infinities and lone surrogates, which `read` would refuse.
    """
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def stable_id(kind: str, *names: str) -> str:
    """Return the id of type `kind` that belongs to `names`, the same wherever and whenever it is asked for.

    For objects that their maker must be able to name again. What is stated once gets a random UUIDv4
    (STIX 2.1 §2.9).
    """
    return f"{kind}--{uuid5(_NAMESPACE, json.dumps([kind, *names]))}"
