"""What is found when a log is looked through."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec
from sqlalchemy import Connection


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it should be: in which part, about what, in words."""

    part: str
    subject: str
    words: str


class Reads(Protocol):
    """What can be read: a `Log`, or a `Reader`."""

    def read(self) -> AbstractContextManager[Connection]:
        """Give a connection that sees a snapshot."""


Progress = Callable[[str, int], None]
"""Is told a part and how far it is."""
