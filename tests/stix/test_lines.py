"""Which version counts is a function of the set of versions."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lezha.stix.lines import State, Version, current, decisive, state

versions = st.lists(
    st.builds(
        Version,
        version=st.sampled_from(["1", "2", "3"]),
        hash=st.sampled_from("abcdef"),
        revoked=st.booleans(),
        barred=st.booleans(),
        purged=st.booleans(),
        recalled=st.booleans(),
    ),
    max_size=6,
    unique_by=lambda one: one.hash,
)


@given(versions.flatmap(lambda line: st.tuples(st.just(line), st.permutations(line))))
def test_the_order_does_not_matter(lines: tuple[list[Version], list[Version]]) -> None:
    line, again = lines
    assert current(line) == current(again)
    assert [state(one, line) for one in line] == [state(one, again) for one in line]


@given(versions)
def test_exactly_one_version_counts_unless_all_are_barred_or_that_one_was_purged(line: list[Version]) -> None:
    counting = [one for one in line if state(one, line) in (State.CURRENT, State.REVOKED)]
    assert counting == [one for one in line if one == current(line)]
    last = decisive(line)
    assert bool(counting) == (last is not None and not last.purged)


@given(versions)
def test_what_was_recalled_is_as_if_it_had_never_been_told(line: list[Version]) -> None:
    left = [one for one in line if not one.recalled]
    assert decisive(line) == decisive(left)
    assert all(state(one, line) is State.BARRED for one in line if one.recalled)
    assert [state(one, line) for one in left] == [state(one, left) for one in left]


@given(versions)
def test_revoked_is_terminal(line: list[Version]) -> None:
    last = decisive(line)
    revoked = [one for one in line if one.revoked and not (one.barred or one.recalled)]
    assert (last is not None and last.revoked) == bool(revoked)
    if last is not None and last.revoked:
        assert last == min(revoked)


@given(versions)
def test_purging_ends_what_counts_and_makes_nothing_else_count(line: list[Version]) -> None:
    held = [replace(one, purged=False) for one in line]
    before, now = current(held), current(line)
    gone = {one.hash for one in line if one.purged}
    assert now == (None if before is None or before.hash in gone else before)
    for one, then in zip(line, held, strict=True):
        assert one.purged or state(one, line) == state(then, held)


def test_the_states_have_their_names() -> None:
    line = [
        Version("1", "a"),
        Version("2", "b", revoked=True),
        Version("3", "c"),
        Version("2", "a", barred=True),
        Version("1", "b", purged=True),
    ]
    assert [state(one, line).value for one in line] == [
        "superseded",
        "revoked",
        "after its revocation",
        "barred",
        "barred",
    ]
