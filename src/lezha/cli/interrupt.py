"""Ctrl-C: a short line and exit code 130, at whatever moment it comes.

A command that has nothing to tidy up is ended by the handler itself: an exception may be raised where nobody passes it
on, as in a destructor. The others say so (`tidily`), and get KeyboardInterrupt.
"""

import logging
import os
import signal
import sys
from types import FrameType
from typing import Final

CODE: Final = 130
_WORDS: Final = b"lezha: interrupted\n"


def at_once() -> None:
    """From now on, end the process where it stands; a shell's background job goes on ignoring Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def tidily() -> None:
    """From now on, raise KeyboardInterrupt, again if it was raised where nobody passes it on."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.unraisablehook = _passed_on
        # Its pool tells with a traceback that a connection was interrupted.
        logging.getLogger("sqlalchemy.pool").addHandler(logging.NullHandler())


def came(error: BaseException | None) -> bool:
    """Say whether an error is Ctrl-C, or was raised while something tidied up after it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def say() -> None:
    """Print the line."""
    os.write(2, _WORDS)


def _end(_number: int, _frame: FrameType | None) -> None:
    say()
    os._exit(CODE)


def _passed_on(lost: "sys.UnraisableHookArgs") -> None:
    if issubclass(lost.exc_type, KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    else:
        sys.__unraisablehook__(lost)
