"""Is this a pattern of STIX 2.1 §9? A quick path for what feeds write, OASIS's grammar for all else."""

import re
from typing import Final

from lezha.stix.errors import Invalid, TooLarge
from lezha.stix.limits import LIMITS, Limits

# The simple form: comparisons with strings, joined by AND or OR, in observations joined by AND, OR or
# FOLLOWEDBY. A subset of the grammar by construction (tests compare); every repetition is possessive or
# begins with a token of its own, so that the time is linear.
_STRING: Final = r"'[^'\\]*+(?:\\['\\][^'\\]*+)*+'"
_HEX: Final = "[0-9a-fA-F]"
_TYPE: Final = r"(?!true\b|false\b)[a-z][a-z0-9-]*+"
_HASH: Final = (
    rf"{_TYPE}:hashes\.(?:"
    rf"(?:MD5|'MD5')\s*+=\s*+'{_HEX}{{32}}'"
    rf"|'SHA-1'\s*+=\s*+'{_HEX}{{40}}'"
    rf"|'SHA-256'\s*+=\s*+'{_HEX}{{64}}'"
    rf"|'SHA-512'\s*+=\s*+'{_HEX}{{128}}')"
)
_NAME: Final = r"(?!true\b|false\b|hashes\b)[a-z_][a-z0-9_]*+"
_VALUE: Final = (
    rf"{_TYPE}:{_NAME}(?:\.{_NAME})*+"
    rf"(?:\s*+!?=|\s++(?:LIKE|MATCHES|ISSUBSET|ISSUPERSET))\s*+{_STRING}"
)
_COMPARISON: Final = rf"(?:{_HASH}|{_VALUE})"
_OBSERVATION: Final = rf"\[\s*+{_COMPARISON}(?:\s++(?:AND|OR)\s++{_COMPARISON})*+\s*+\]"
_SIMPLE: Final = re.compile(rf"{_OBSERVATION}(?:\s++(?:AND|OR|FOLLOWEDBY)\s++{_OBSERVATION})*+", re.ASCII)


def check(pattern: str, limits: Limits = LIMITS) -> None:
    """Raise Invalid if `pattern` is not a STIX pattern, TooLarge if it is too long or deep to tell."""
    if _SIMPLE.fullmatch(pattern) is None:
        _check_grammar(pattern, limits)


def is_simple(pattern: str) -> bool:
    """Say whether `pattern` has the simple form that is checked without the grammar."""
    return _SIMPLE.fullmatch(pattern) is not None


def _check_grammar(pattern: str, limits: Limits) -> None:
    if len(pattern) > limits.pattern_chars:
        raise TooLarge(
            f"its pattern has {len(pattern):,} characters and this node takes {limits.pattern_chars:,} "
            "of one that is not a plain list of comparisons",
            clause="limit pattern_chars",
        )
    # Loaded here: the grammar takes 0.2 s to import, and most nodes never see a pattern that needs it.
    from stix2patterns.validator import run_validator  # type: ignore[import-untyped]  # ships no types

    try:
        found = [str(line) for line in run_validator(pattern, stix_version="2.1")]
    except RecursionError:
        raise TooLarge("its pattern nests too deep to be checked", clause="limit depth") from None
    except Exception as error:  # noqa: BLE001  # a hostile pattern must not stop a node, whatever the parser raises
        found = [f"{type(error).__name__}: {error}"]
    if found:
        detail = found[0].removeprefix("FAIL: ").removeprefix("Error found at ")
        shown = detail if len(detail) <= 120 else detail[:117] + "..."
        raise Invalid(f"its pattern is not a STIX pattern: {shown}", clause="STIX 2.1 §9")
