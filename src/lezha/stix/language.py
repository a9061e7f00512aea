"""Language tags (RFC 5646), as far as they can be told from other text without the registry of subtags."""

import re
from typing import Final

_LETTER: Final = "[A-Za-z]"
_ANY: Final = "[A-Za-z0-9]"
# RFC 5646 §2.1. The irregular tags that were registered before its grammar stand first, the private ones last.
PATTERN: Final = (
    "en-GB-oed|i-(?:ami|bnn|default|enochian|hak|klingon|lux|mingo|navajo|pwn|tao|tay|tsu)"
    "|sgn-(?:BE-FR|BE-NL|CH-DE)"
    f"|(?:{_LETTER}{{2,3}}(?:-{_LETTER}{{3}}){{0,3}}|{_LETTER}{{4,8}})"
    f"(?:-{_LETTER}{{4}})?"
    f"(?:-(?:{_LETTER}{{2}}|[0-9]{{3}}))?"
    f"(?:-(?:{_ANY}{{5,8}}|[0-9]{_ANY}{{3}}))*"
    f"(?:-[A-WY-Za-wy-z0-9](?:-{_ANY}{{2,8}})+)*"
    f"(?:-[Xx](?:-{_ANY}{{1,8}})+)?"
    f"|[Xx](?:-{_ANY}{{1,8}})+"
)
_TAG: Final = re.compile(PATTERN)
_LONGEST: Final = 250  # characters; no tag in use comes near


def is_tag(text: str) -> bool:
    """Say whether `text` has the form of a language tag, such as `sq`, `sr-Latn` or `de-AT-1996`."""
    return len(text) <= _LONGEST and _TAG.fullmatch(text) is not None
