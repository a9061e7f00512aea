"""What can go wrong with the log."""


class StoreError(Exception):
    """The log can't do what was asked; the message says why and what to do."""


class NotFound(StoreError):
    """There is no such thing in the log."""


class Conflict(StoreError):
    """The log already holds something that contradicts this."""


class Superseded(StoreError):
    """Another process leads this node's log; this one may not write to it any more."""


class NoRoom(StoreError):
    """The disk that the log lies on is full."""


class Damaged(StoreError):
    """What is derived can't be relied on; it can be derived anew."""
