"""What can be wrong with something that claims to be STIX 2.1, told apart by what the caller does about it."""

from typing import ClassVar, Final


class StixError(ValueError):
    """Input is not STIX 2.1 that this node can take.

    `message` says what is wrong, `clause` is the rule that it breaks (`STIX 2.1 §4.7`, `RFC 8259 §4`) and
    `object_id` names the object, as far as it can be read; None speaks of the whole input. `str()` is one
    sentence that ends with what to do next. `code` is stable: it appears in `--json`, in the log and in
    receipts of refused frames.
    """

    code: ClassVar[str] = "stix"
    advice: ClassVar[str] = "correct it at its source and send it again"

    def __init__(self, message: str, *, clause: str, object_id: str | None = None) -> None:
        super().__init__(message)
        self.message: Final = message
        self.clause: Final = clause
        self.object_id = object_id

    def __str__(self) -> str:
        subject = f"{self.object_id}: " if self.object_id else ""
        return f"{subject}{self.message} ({self.clause}); {self.advice}."


class NotJson(StixError):
    """The bytes are not JSON in UTF-8."""

    code = "not_json"
    advice = "check that it is the right file and that it is complete"


class DuplicateKey(StixError):
    """An object names a property twice, so that two readers may see two different values."""

    code = "duplicate_key"
    advice = "ask its author which value is meant; nothing of it was taken"


class TooLarge(StixError):
    """A limit of this node is exceeded: bytes, nesting, objects, references or pattern."""

    code = "too_large"
    advice = "split it into smaller parts"


class WrongVersion(StixError):
    """It is STIX, but 1.x or 2.0."""

    code = "wrong_version"
    advice = "upgrade it to STIX 2.1 with OASIS's stix2-elevator and send it again"


class Invalid(StixError):
    """It breaks a rule of STIX 2.1."""

    code = "invalid"
