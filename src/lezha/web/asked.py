"""What the form of the objects page asks for."""

from collections.abc import Callable
from typing import Final

import msgspec

from lezha.flows.errors import FlowError
from lezha.sharing.tlp import Tlp
from lezha.store.search import Query
from lezha.web import times

LEVELS: Final = tuple(level.value for level in Tlp)
_LONGEST: Final = {
    "value": 2600, "text": 1000, "type": 250, "origin": 250, "id": 250, "label": 600, "marking": 250, "creator": 600,
    "ref": 250,
}  # fmt: skip
"""How many letters a field takes. What is longer is not kept as a key, or not looked at."""

_FIELDS: Final = {
    "value": "Value", "text": "Words", "type": "Type", "origin": "From", "id": "Exact id", "label": "Label",
    "marking": "Marking", "creator": "Created by", "ref": "Names the object",
}  # fmt: skip
_PLAIN: Final = ("id", "type", "text", "label", "marking", "tlp", "creator", "origin", "ref")
_TIMES: Final = ("since", "until", "modified_since", "modified_until")
_TRUTHS: Final = ("sighted", "revoked")
_FURTHER: Final = ("label", "marking", "tlp", "creator", "ref", "id", *_TRUTHS, *_TIMES)


class Asked(msgspec.Struct, frozen=True):
    """What the form says; `sighted` and `revoked` are "true", "false" or empty."""

    value: str = ""
    text: str = ""
    type: str = ""
    origin: str = ""
    id: str = ""
    label: str = ""
    marking: str = ""
    tlp: str = ""
    creator: str = ""
    ref: str = ""
    sighted: str = ""
    revoked: str = ""
    since: str = ""
    until: str = ""
    modified_since: str = ""
    modified_until: str = ""

    @property
    def more(self) -> bool:
        """True if one of the further conditions is set."""
        return any(given for name, given in msgspec.structs.asdict(self).items() if name in _FURTHER)

    def meant(self, member: Callable[[str], str]) -> "Asked":
        """Return the same with members by their ids (`member` finds them) and times as the log writes them.

        Raises FlowError, in the words of the form, if a field says what none can.
        """
        for name, most in _LONGEST.items():
            if len(getattr(self, name)) > most:
                given = len(getattr(self, name))
                raise FlowError(f"{_FIELDS[name]}: {most:,} letters at most, and these are {given:,}.")
        if self.tlp and self.tlp not in LEVELS:
            raise FlowError(f"There is no TLP {self.tlp[:20]!r}: it is one of {', '.join(LEVELS)}.")
        for name in _TRUTHS:
            if getattr(self, name) not in ("", "true", "false"):
                raise FlowError(f"{name.capitalize()} is true, false, or left out.")
        changed = {name: times.past(getattr(self, name), utc=True) for name in _TIMES if getattr(self, name)}
        return msgspec.structs.replace(
            self, origin=member(self.origin), creator=member(self.creator), **changed
        )

    def query(self, before: int, limit: int) -> Query:
        """Return what to look for, the value apart, of what is `meant`."""
        given = msgspec.structs.asdict(self)
        asked: dict[str, object] = {name: given[name] for name in (*_PLAIN, *_TIMES)}
        asked |= {name: {"true": True, "false": False}.get(given[name]) for name in _TRUTHS}
        return msgspec.convert(asked | {"before": before, "limit": limit}, Query)
