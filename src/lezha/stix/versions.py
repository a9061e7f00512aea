"""What holds between two versions of one object (STIX 2.1 §3.6), and when two texts say the same."""

from hashlib import sha256

import rfc8785

from lezha.stix import timestamps
from lezha.stix.errors import Invalid, StixError
from lezha.stix.objects import Object
from lezha.stix.parse import decode

_CLAUSE = "STIX 2.1 §3.6"


def check_successor(old: Object, new: Object) -> None:
    """Raise Invalid, naming `new`, if the two cannot both be versions of one object.

    `old` is the one held; `new` may be the later version or one that comes late. Objects without versions
    (SCOs) are not compared. Raises ValueError if they are not of one id.
    """
    if old.id != new.id:
        raise ValueError("two objects of different ids are no versions of one object")
    if not old.version or not new.version:
        return
    # STIX 2.1 §3.2, §3.5, §3.6: the creator and the time of creation stay; so does the type, as part of the id.
    if old.type != new.type:
        raise _refused(new, f"it was of the type {old.type}")
    if _created(old) != _created(new):
        raise _refused(new, f"it was created at {_created(old)}, which must not change")
    if old.created_by != new.created_by:
        raise _refused(new, f"it was created by {old.created_by or 'nobody named'}, which must not change")
    # STIX 2.1 §3.6: one version has one content.
    if old.version == new.version:
        if old.raw != new.raw and not same_substance(old.raw, new.raw):
            raise _refused(new, f"it says something else than before under the same version, {new.version}")
        return
    # STIX 2.1 §3.6: a revoked object has no later version.
    earlier, later = sorted((old, new), key=lambda one: one.version)
    if earlier.revoked:
        raise _refused(
            new, f"it was revoked at {earlier.version}, so that there is no version of {later.version}"
        )


def substance(raw: bytes) -> str:
    """Return the SHA-256 of the canonical form of a JSON object (RFC 8785), of its bytes if it has none."""
    try:
        return sha256(rfc8785.dumps(decode(raw))).hexdigest()
    except (StixError, rfc8785.CanonicalizationError):
        return sha256(raw).hexdigest()


def same_substance(a: bytes, b: bytes) -> bool:
    """Say whether two JSON objects have the same canonical form (RFC 8785): whatever the order, spacing, escapes
    and ways to write a number. Never raises: False if either has no canonical form.
    """
    try:
        return rfc8785.dumps(decode(a)) == rfc8785.dumps(decode(b))
    except (StixError, rfc8785.CanonicalizationError):
        return False


def _created(one: Object) -> str:
    stated = one.data.get("created")
    return timestamps.normalise(stated) if isinstance(stated, str) else ""


def _refused(new: Object, message: str) -> Invalid:
    return Invalid(message, clause=_CLAUSE, object_id=new.id)
