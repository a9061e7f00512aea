"""What keeps a node from starting."""


class NodeError(Exception):
    """The node's folder or settings are not usable; the message says what to do."""
