"""Formats of logs, one module each, all of one shape: a class that is an `engine.Reader`.

A reader has a line of its format parsed, tells the time of a record, and joins what the format spreads over fields.
"""

from collections.abc import Callable

from lezha.detection.engine import Reader
from lezha.detection.errors import ReaderError
from lezha.detection.readers.zeek import ZeekReader

__all__ = ["FORMATS", "ZeekReader", "reader"]

FORMATS: dict[str, Callable[[], Reader]] = {"zeek": ZeekReader}


def reader(name: str) -> Reader:
    """Give a new reader of the named format; every file gets its own.

    Raises:
        ReaderError: there is no such format.
    """
    try:
        return FORMATS[name]()
    except KeyError:
        raise ReaderError(f"no reader is called {name!r}; there is: {', '.join(FORMATS)}") from None
