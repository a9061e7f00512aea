"""Names that people give to peers and tokens: short, and the same in a command, an address and a table."""

from typing import Final

MAX_NAME: Final = 60
RULE: Final = f"use letters a to z, digits, - and _, {MAX_NAME} at most"


def is_plain(name: str) -> bool:
    """True if `name` keeps to `RULE` and has a letter or a digit."""
    return len(name) <= MAX_NAME and name.isascii() and name.replace("-", "").replace("_", "").isalnum()
