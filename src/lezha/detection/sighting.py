"""A report as a STIX 2.1 sighting: who saw which indicator how often and when; never where inside, never the log."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

import rfc8785

from lezha.detection.errors import SightingError
from lezha.detection.sensor import Report
from lezha.stix import objects

__all__ = ["MAX_COUNT", "NAMESPACE", "build", "sighting_id"]

# STIX 2.1 §2.9: SROs SHOULD have UUIDv4; a producer that has reasons not to uses a namespace of its own, and never
# 00abedb4-aa42-466c-9c01-fed23315a9b7, which is for SCOs. Ours is uuid5(NAMESPACE_DNS, "sighting.lezha"). The reason:
# a report that is sent again because its confirmation was lost must be the same object, not a second sighting.
NAMESPACE = uuid.UUID("b31bf44d-66d5-5dd5-90d0-af2f141472ca")
MAX_COUNT = 999_999_999  # STIX 2.1 §5.2


def build(
    report: Report,
    *,
    indicator_id: str,
    member_id: str,
    report_key: str,
    now: datetime,
    labels: Iterable[str] = (),
) -> bytes:
    """Give the canonical bytes (RFC 8785) of the sighting; the same arguments give the same bytes.

    `report_key` names the report among all of the member's: sensor and batch id. `now` is the time of the batch
    (`Batch.taken`), not of the attempt. `count` stops at STIX's own limit.

    Raises:
        SightingError: `indicator_id` is not an indicator's or `member_id` not an identity's; any id that an object
            may have here (`stix.objects.is_id`) will do.
        OverflowError: a time of the report is none of the years 1 to 9999 in UTC.
    """
    if not _names("indicator", indicator_id):
        raise SightingError(f"only indicators are sighted here, not {indicator_id!r}")
    if not _names("identity", member_id):
        raise SightingError(f"a sighting is made by an identity, not by {member_id!r}")
    sighting: dict[str, str | int | list[str]] = {
        "type": "sighting",
        "spec_version": "2.1",
        "id": sighting_id(report_key, indicator_id, member_id),
        "created_by_ref": member_id,
        "created": _timestamp(now),
        "modified": _timestamp(now),
        "first_seen": _timestamp(report.first_seen),
        "last_seen": _timestamp(report.last_seen),
        "count": min(report.count, MAX_COUNT),
        "sighting_of_ref": indicator_id,
        "where_sighted_refs": [member_id],
    }
    if names := sorted(set(labels)):
        sighting["labels"] = names
    return rfc8785.dumps(sighting)


def sighting_id(report_key: str, indicator_id: str, member_id: str) -> str:
    """Name the sighting that a member's report makes of an indicator."""
    # The ids have a fixed length and stand first, so the three can't run into one another.
    return f"sighting--{uuid.uuid5(NAMESPACE, f'{member_id} {indicator_id} {report_key}')}"


def _names(stix_type: str, stix_id: str) -> bool:
    return stix_id.startswith(f"{stix_type}--") and objects.is_id(stix_id)


def _timestamp(moment: datetime) -> str:
    """STIX 2.1 §3.13: UTC, with the Z; milliseconds as §3.2 wants them for created and modified."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
