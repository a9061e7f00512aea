"""A report becomes one sighting, however often it is sent, and tells nothing but what it must."""

import json
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest

from lezha.detection import Report, SightingError
from lezha.detection.sighting import NAMESPACE, build

INDICATOR = "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
MEMBER = "identity--f431f809-377b-45e0-aa1c-6a4751cae5ff"
SEEN = datetime(2022, 7, 15, 9, tzinfo=UTC)
REPORT = Report(INDICATOR, 3, SEEN, SEEN + timedelta(seconds=1.23456))
NOW = SEEN + timedelta(seconds=5)


def sighting(report: Report = REPORT, indicator_id: str = INDICATOR, report_key: str = "s1/run-1") -> bytes:
    return build(
        report,
        indicator_id=indicator_id,
        member_id=MEMBER,
        report_key=report_key,
        now=NOW,
        labels=["exercise"],
    )


def test_a_sighting_says_who_saw_what_how_often_and_when_and_no_more() -> None:
    read = json.loads(sighting())
    assert read.pop("id").startswith("sighting--")
    assert read == {
        "type": "sighting",
        "spec_version": "2.1",
        "created_by_ref": MEMBER,
        "created": "2022-07-15T09:00:05.000Z",
        "modified": "2022-07-15T09:00:05.000Z",
        "first_seen": "2022-07-15T09:00:00.000Z",
        "last_seen": "2022-07-15T09:00:01.234Z",
        "count": 3,
        "sighting_of_ref": INDICATOR,
        "where_sighted_refs": [MEMBER],
        "labels": ["exercise"],
    }


def test_a_report_sent_again_is_the_same_object() -> None:
    assert sighting() == sighting()


def test_another_report_or_indicator_is_another_sighting() -> None:
    ids = {
        json.loads(each)["id"]
        for each in (
            sighting(),
            sighting(report_key="s1/run-2"),
            sighting(indicator_id="indicator--11111111-1111-4111-8111-111111111111"),
        )
    }
    assert len(ids) == 3


def test_the_namespace_is_lezhas_own_and_not_that_of_observables() -> None:
    assert uuid.uuid5(uuid.NAMESPACE_DNS, "sighting.lezha") == NAMESPACE
    assert uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7") != NAMESPACE


def test_times_of_other_zones_are_written_in_utc() -> None:
    moment = datetime(2022, 7, 15, 11, tzinfo=timezone(timedelta(hours=2)))
    assert (
        json.loads(sighting(Report(INDICATOR, 1, moment, moment)))["first_seen"] == "2022-07-15T09:00:00.000Z"
    )


def test_the_count_stops_at_what_stix_allows() -> None:
    assert json.loads(sighting(Report(INDICATOR, 10**10, SEEN, SEEN)))["count"] == 999_999_999


def test_an_id_is_written_as_its_author_wrote_it() -> None:
    loud = "indicator--8E2E2D2B-17D4-4CBF-938F-98EE46B3CD3F"
    assert json.loads(sighting(indicator_id=loud))["sighting_of_ref"] == loud


@pytest.mark.parametrize("wrong", ["malware--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "", "indicator--x"])
def test_only_indicators_are_sighted(wrong: str) -> None:
    with pytest.raises(SightingError):
        sighting(indicator_id=wrong)


def test_a_sighting_is_made_by_an_identity() -> None:
    with pytest.raises(SightingError):
        build(REPORT, indicator_id=INDICATOR, member_id=INDICATOR, report_key="x", now=NOW)
