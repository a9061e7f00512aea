"""What can be wrong with what a peer sends, split by whose fault it is."""

from typing import Final


class FederationError(Exception):
    """The peer's or the network's fault; the message says what happened and what to do next."""


class Refused(FederationError):
    """Something signed, or something a peer sent, is not what it must be.

    `code` is stable: it is told to the sender in the receipt and counted here.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code: Final = code


class LinkFault(FederationError):
    """A connection or a reply failed; trying again may help."""


class Fenced(FederationError):
    """A peer takes nothing from this database any more: another one speaks for the member since."""


class Busy(LinkFault):
    """The peer takes no more for now; it says to come back after `seconds`."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds: Final = seconds


class EnrolmentError(FederationError):
    """Two nodes could not be introduced to one another."""


class NotTakenUp(EnrolmentError):
    """The inviter can't know whom it invited as a peer; `why` may name its peers, so the other one is not told."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "The inviting node can't take this up; its log says why. Ask the officer who invited."
        )
        self.why: Final = why
