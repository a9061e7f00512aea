"""How much one input may cost this node."""

from typing import Final

import msgspec

KIB: Final = 1024
MIB: Final = 1024 * KIB


class Limits(msgspec.Struct, frozen=True):
    """Limits of what is read; each is inclusive.

    `object_bytes` and `bundle_bytes` count UTF-8 bytes, `depth` counts nested `{` and `[` within one object
    (the object itself is 1), `objects` those of one bundle, `refs` the different ids that one object names.
    `pattern_chars` bounds the patterns that need the full grammar, whose parser takes 10 to 70 µs a character;
    patterns of the simple form that feeds use are bounded by `object_bytes` alone.
    """

    object_bytes: int = 1 * MIB
    bundle_bytes: int = 64 * MIB
    depth: int = 64
    objects: int = 100_000
    refs: int = 20_000
    pattern_chars: int = 16 * KIB


LIMITS: Final = Limits()
