"""The one table of rights for people, tools and sensors."""

from enum import StrEnum
from typing import Final

import msgspec

from lezha.sharing.tlp import Tlp


class Right(StrEnum):
    """Something a principal may do."""

    LOOK = "look"
    PUBLISH = "publish"
    PEERS = "peers"
    COMMUNITIES = "communities"
    ISOLATE = "isolate"
    QUARANTINE = "quarantine"
    TOKENS = "tokens"
    PURGE = "purge"
    SENSE = "sense"
    RECEIVE = "receive"
    COLLECT = "collect"
    POST = "post"
    AUDIT = "audit"
    MEASURE = "measure"


class Role(StrEnum):
    """What a token was made for."""

    ADMIN = "admin"
    COORDINATOR = "coordinator"
    ANALYST = "analyst"
    SENSOR = "sensor"
    SYSTEM = "system"
    CONSTITUENT = "constituent"
    AUDITOR = "auditor"
    MONITOR = "monitor"


RIGHTS: Final[dict[Role, frozenset[Right]]] = {
    Role.ADMIN: frozenset(
        {
            Right.LOOK,
            Right.PUBLISH,
            Right.PEERS,
            Right.COMMUNITIES,
            Right.ISOLATE,
            Right.QUARANTINE,
            Right.TOKENS,
            Right.PURGE,
            Right.AUDIT,
            Right.MEASURE,
        }
    ),
    Role.COORDINATOR: frozenset(
        {Right.LOOK, Right.PUBLISH, Right.COMMUNITIES, Right.ISOLATE, Right.QUARANTINE}
    ),
    Role.ANALYST: frozenset({Right.LOOK}),
    Role.SENSOR: frozenset({Right.SENSE}),
    Role.SYSTEM: frozenset({Right.COLLECT, Right.POST}),
    Role.CONSTITUENT: frozenset({Right.RECEIVE, Right.COLLECT}),
    Role.AUDITOR: frozenset({Right.AUDIT}),
    Role.MONITOR: frozenset({Right.MEASURE}),
}


class Principal(msgspec.Struct, frozen=True):
    """An authenticated token holder; `clearance` is that of an own system, None for everybody else."""

    id: str
    name: str
    role: Role
    clearance: Tlp | None = None

    def may(self, right: Right) -> bool:
        """True if the table of rights gives `right` to this principal's role."""
        return right in RIGHTS[self.role]
