"""What goes wrong with rules that somebody else has written."""


class PolicyError(Exception):
    """A national policy that can't be used; says what is wrong, in which line, and what to do."""
