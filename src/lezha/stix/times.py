"""The times that STIX objects state: days of the calendar, and in the order that STIX demands."""

from typing import Any, Final

from lezha.stix import clauses, references, timestamps
from lezha.stix.errors import Invalid

# type -> (earlier, later, whether they may be equal). §4.7 and §5.1 say "later than", the others "later than
# or equal to".
_ORDER: Final = {
    "campaign": ("first_seen", "last_seen", True),
    "indicator": ("valid_from", "valid_until", False),
    "infrastructure": ("first_seen", "last_seen", True),
    "intrusion-set": ("first_seen", "last_seen", True),
    "malware": ("first_seen", "last_seen", True),
    "network-traffic": ("start", "end", True),
    "observed-data": ("first_observed", "last_observed", True),
    "relationship": ("start_time", "stop_time", False),
    "sighting": ("first_seen", "last_seen", True),
    "threat-actor": ("first_seen", "last_seen", True),
}

# The other times of each type, which stand in no order.
_FILE_SYSTEM: Final = ("ctime", "mtime", "atime")
_OTHERS: Final[dict[str, tuple[str, ...]]] = {
    "directory": _FILE_SYSTEM,
    "email-message": ("date",),
    "file": _FILE_SYSTEM,
    "language-content": ("object_modified",),
    "malware-analysis": ("submitted", "analysis_started", "analysis_ended"),
    "process": ("created_time",),
    "report": ("published",),
    "user-account": (
        "account_created",
        "account_expires",
        "credential_last_changed",
        "account_first_login",
        "account_last_login",
    ),
    "windows-registry-key": ("modified_time",),
    "x509-certificate": ("validity_not_before", "validity_not_after"),
}
_WITHIN: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "file": (("extensions", "windows-pebinary-ext"), ("time_date_stamp",)),
    "x509-certificate": (
        ("x509_v3_extensions",),
        ("private_key_usage_period_not_before", "private_key_usage_period_not_after"),
    ),
}


def check_version(data: dict[str, Any]) -> None:
    """Raise Invalid if `modified` is earlier than `created`, or either is not a day of the calendar."""
    # STIX 2.1 §3.2: modified MUST be later than or equal to created.
    created, modified = data.get("created"), data.get("modified")
    if not isinstance(created, str):  # only custom objects can have something else here
        return
    first = timestamps.normalise(created)
    if isinstance(modified, str) and modified != created and timestamps.normalise(modified) < first:
        raise Invalid("modified is earlier than created", clause="STIX 2.1 §3.2")


def concerns(kind: str) -> bool:
    """Say whether `check` has anything to look for in objects of the type `kind`."""
    return kind in _ORDER or kind in _OTHERS or kind in _WITHIN


def check(data: dict[str, Any]) -> None:
    """Raise Invalid if a time that STIX defines for the type of `data` is none, or ends before it begins."""
    kind: str = data["type"]
    if kind in _ORDER:
        _check_order(kind, data)
    # STIX 2.1 §2.16: a timestamp is a time of RFC 3339, whose days are those of the calendar.
    for name in _OTHERS.get(kind, ()):
        if name in data:
            timestamps.normalise(data[name])
    if kind in _WITHIN:
        way, names = _WITHIN[kind]
        for part in references.at(data, way):
            for name in names:
                if name in part:
                    timestamps.normalise(part[name])


def _check_order(kind: str, data: dict[str, Any]) -> None:
    earlier, later, equal = _ORDER[kind]
    begin = timestamps.normalise(data[earlier]) if earlier in data else None
    end = timestamps.normalise(data[later]) if later in data else None
    if begin is None or end is None or begin < end or (equal and begin == end):
        return
    word = "earlier than" if equal else "not later than"
    raise Invalid(f"{later} is {word} {earlier}", clause=clauses.of(kind))
