"""Versions that their creator signed twice: what there is to ask before they are in dispute."""

from tests.store.examples import ALBANIA, MONTENEGRO, content, signed

from lezha.store import contents, disputes, statements, substances
from lezha.store.disputes import Question, Version
from lezha.store.log import Log

EARLY, LATE = "2022-07-15T09:00:00.000000Z", "2022-07-16T09:00:00.000000Z"
FIRST, SECOND = content(1).stix_id, content(2).stix_id


def keep(log: Log, *kept: tuple[int, str, str]) -> None:
    """Keep contents, given as number, id and version, each signed by its creator."""
    made = [content(number, stix_id=stix_id, version=version) for number, stix_id, version in kept]
    log.write_now(lambda tx: contents.add(tx, made, "test"))
    log.write_now(lambda tx: statements.add(tx, [signed(number) for number, _, _ in kept], "test"))


def asked(
    log: Log, *versions: Version, coming: dict[Version, dict[str, bytes]] | None = None
) -> list[Question]:
    with log.read() as conn:
        return disputes.questions(conn, versions, coming or {})


def test_two_contents_of_one_version_are_a_question(log: Log) -> None:
    keep(log, (1, FIRST, EARLY), (2, FIRST, EARLY), (3, SECOND, EARLY))
    version = (FIRST, EARLY, ALBANIA)
    unsaid = dict.fromkeys((content(1).hash, content(2).hash))
    assert asked(log, version, (SECOND, EARLY, ALBANIA)) == [Question(version, unsaid=unsaid)]


def test_versions_of_other_objects_that_are_asked_about_beside_it_are_none_of_an_object(log: Log) -> None:
    keep(log, (1, FIRST, EARLY), (2, FIRST, EARLY), (3, SECOND, LATE))
    assert asked(log, (FIRST, LATE, ALBANIA), (SECOND, EARLY, ALBANIA)) == []


def test_what_somebody_else_would_have_made_is_no_question_to_the_creator(log: Log) -> None:
    keep(log, (1, FIRST, EARLY), (2, FIRST, EARLY))
    assert asked(log, (FIRST, EARLY, MONTENEGRO)) == []


def test_what_comes_is_held_against_what_is_there(log: Log) -> None:
    keep(log, (1, FIRST, EARLY), (3, SECOND, EARLY))
    first, second = (FIRST, EARLY, ALBANIA), (SECOND, EARLY, ALBANIA)
    again = {content(3).hash: content(3).raw}
    [found] = asked(log, first, second, coming={first: {"ab" * 32: b"other"}, second: again})
    assert (found.version, found.unsaid) == (first, {"ab" * 32: b"other", content(1).hash: None})


def test_of_contents_whose_substance_is_known_the_substance_is_asked_about(log: Log) -> None:
    keep(log, (1, FIRST, EARLY), (2, FIRST, EARLY))
    with log.read() as conn:
        seq = contents.seqs(conn, [content(1).hash])[content(1).hash]
    log.write_now(lambda tx: substances.keep(tx.conn, {seq: "cd" * 32}))
    [found] = asked(log, (FIRST, EARLY, ALBANIA))
    assert (found.substances, found.unsaid) == ({"cd" * 32}, {content(2).hash: None})


def test_a_thousand_versions_are_asked_about_at_once(log: Log) -> None:
    keep(log, (1, FIRST, EARLY), (2, FIRST, EARLY))
    others = [(f"indicator--{number}", f"{number}", ALBANIA) for number in range(1000)]
    assert [one.version for one in asked(log, *others, (FIRST, EARLY, ALBANIA))] == [(FIRST, EARLY, ALBANIA)]
