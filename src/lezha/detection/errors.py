"""What can go wrong in detection, by whose fault it is."""

__all__ = ["DetectionError", "ObservableError", "ReaderError", "SightingError", "UplinkError"]


class DetectionError(Exception):
    """The root of this room's errors."""


class ObservableError(DetectionError):
    """The publisher's: a value is not what its kind says, or is too broad to look for."""


class ReaderError(DetectionError):
    """The operator's: no reader has the name that was asked for."""


class SightingError(DetectionError):
    """The caller's: a sighting was asked of something that is not an indicator, or by nobody."""


class UplinkError(DetectionError):
    """The network's or the node's: what was asked of the node did not come about.

    `final` is true if asking again can't help: the node refuses the token.
    """

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final
