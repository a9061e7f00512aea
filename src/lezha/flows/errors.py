"""Why a flow did not do what was asked; the message is for the person who asked."""

from collections.abc import Sequence

import msgspec


class FlowError(Exception):
    """The request can't be fulfilled as it stands."""


class Isolated(FlowError):
    """This node is isolated: nothing goes out."""

    def __init__(self) -> None:
        super().__init__(
            "This node gives nothing out for now: it was isolated. What is there waits; ask again later."
        )


class Rejected(msgspec.Struct, frozen=True):
    """One object that was not taken: its id as far as known, the clause it breaks, and why in words."""

    id: str
    clause: str
    reason: str


class NothingTaken(FlowError):
    """Nothing was published; `rejected` says why, object by object."""

    def __init__(self, message: str, rejected: Sequence[Rejected] = ()) -> None:
        super().__init__(message)
        self.rejected = tuple(rejected)


class Stopped(FlowError):
    """Nothing was published, since its author asked to be stopped by a caution; `warnings` are all there were."""

    def __init__(self, message: str, warnings: Sequence[object]) -> None:
        super().__init__(message)
        self.warnings = tuple(warnings)
