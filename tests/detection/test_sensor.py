"""Many hits become few reports: at once the first, in windows the rest, every one of them once."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lezha.detection import Aggregator, Batch, Hit, Kind, Observable

START = datetime(2022, 7, 15, 9, tzinfo=UTC)
WINDOW = timedelta(seconds=60)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def hit(key: str = "a", seen: datetime | None = START, line: int = 0, field: str = "query") -> Hit:
    return Hit(key, Observable(Kind.DOMAIN, "evil.example"), field, seen, line)


def aggregator(max_reports: int = 1000) -> Aggregator:
    return Aggregator(run="run", window=WINDOW, max_reports=max_reports)


def taken(sensor: Aggregator, now: datetime) -> Batch:
    batch = sensor.take(now)
    assert batch is not None
    return batch


def test_the_first_hit_is_reported_at_once_and_later_ones_when_the_window_is_over() -> None:
    sensor = aggregator()
    sensor.add([hit(seen=at(-1))], at(0))
    first = taken(sensor, at(0))
    assert [(each.key, each.count) for each in first.reports] == [("a", 1)]
    sensor.confirm(first.id)
    sensor.add([hit(seen=at(2)), hit(seen=at(1), line=80)], at(3))
    assert sensor.take(at(59)) is None
    [report] = taken(sensor, at(60)).reports
    assert (report.count, report.first_seen, report.last_seen) == (2, at(1), at(2))


def test_an_indicator_that_was_quiet_for_a_window_is_reported_at_once_again() -> None:
    sensor = aggregator()
    sensor.add([hit()], at(0))
    sensor.confirm(taken(sensor, at(0)).id)
    assert sensor.take(at(60)) is None
    sensor.add([hit()], at(70))
    assert taken(sensor, at(70)).reports[0].count == 1


def test_a_line_counts_once_in_however_many_fields_it_hits() -> None:
    sensor = aggregator()
    sensor.add([hit(), hit(field="answers"), hit(line=80)], at(0))
    assert taken(sensor, at(0)).reports[0].count == 2


def test_a_batch_stays_the_same_until_it_is_confirmed() -> None:
    sensor = aggregator()
    sensor.add([hit()], at(0))
    first = taken(sensor, at(0))
    sensor.add([hit(), hit("b")], at(100))
    assert sensor.take(at(200)) == first
    sensor.confirm("another")
    assert sensor.take(at(300)) == first
    sensor.confirm(first.id)
    second = taken(sensor, at(300))
    assert second.id != first.id
    assert [(each.key, each.count) for each in second.reports] == [("a", 1), ("b", 1)]


def test_a_record_without_a_time_or_from_the_future_was_seen_now() -> None:
    sensor = aggregator()
    sensor.add([hit(seen=None), hit(seen=at(9999), line=80)], at(5))
    [report] = taken(sensor, at(5)).reports
    assert (report.first_seen, report.last_seen) == (at(5), at(5))


def test_a_clock_that_is_put_back_holds_nothing_up() -> None:
    sensor = aggregator()
    sensor.add([hit()], at(86_400))
    sensor.confirm(taken(sensor, at(86_400)).id)
    sensor.add([hit(seen=None)], at(0))
    assert taken(sensor, at(0)).reports[0].count == 1


def test_a_batch_is_bounded_and_the_rest_follows() -> None:
    sensor = aggregator(max_reports=2)
    sensor.add([hit(key) for key in "abc"], at(0))
    first = taken(sensor, at(0))
    assert [each.key for each in first.reports] == ["a", "b"]
    sensor.confirm(first.id)
    assert [each.key for each in taken(sensor, at(0)).reports] == ["c"]


def test_an_indicator_that_stops_hitting_takes_no_memory() -> None:
    sensor = aggregator()
    sensor.add([hit(str(number)) for number in range(100)], at(0))
    sensor.confirm(taken(sensor, at(0)).id)
    sensor.take(at(61))
    assert not sensor._windows


STEPS = st.lists(
    st.tuples(st.sampled_from(["hit", "take", "confirm"]), st.sampled_from("abc"), st.integers(0, 90)),
    max_size=40,
)


@given(STEPS)
def test_whatever_happens_every_hit_is_reported_exactly_once(steps: list[tuple[str, str, int]]) -> None:
    sensor, now, hits, reported, batch = aggregator(max_reports=2), 0, 0, 0, None
    steps += [step for _ in range(10) for step in (("take", "", 90), ("confirm", "", 0))]
    for what, key, seconds in steps:
        now += seconds
        if what == "hit":
            sensor.add([hit(key)], at(now))
            hits += 1
        elif what == "take":
            batch = sensor.take(at(now))
        elif batch is not None:
            sensor.confirm(batch.id)
            reported += sum(each.count for each in batch.reports)
            batch = None
        assert sensor.pending == hits - reported
    assert reported == hits
