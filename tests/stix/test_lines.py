"""Which version counts is a function of the set of versions."""

from hypothesis import given
from hypothesis import strategies as st

from lezha.stix.lines import State, Version, current, state

versions = st.lists(
    st.builds(
        Version,
        version=st.sampled_from(["1", "2", "3"]),
        hash=st.sampled_from("abcdef"),
        revoked=st.booleans(),
        barred=st.booleans(),
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
def test_exactly_one_version_counts_unless_all_are_barred(line: list[Version]) -> None:
    counting = [one for one in line if state(one, line) in (State.CURRENT, State.REVOKED)]
    assert counting == [one for one in line if one == current(line)]
    assert bool(counting) == any(not one.barred for one in line)


@given(versions)
def test_revoked_is_terminal(line: list[Version]) -> None:
    now = current(line)
    revoked = [one for one in line if one.revoked and not one.barred]
    assert (now is not None and now.revoked) == bool(revoked)
    if now is not None and now.revoked:
        assert now == min(revoked)


def test_the_states_have_their_names() -> None:
    line = [
        Version("1", "a"),
        Version("2", "b", revoked=True),
        Version("3", "c"),
        Version("2", "a", barred=True),
    ]
    assert [state(one, line).value for one in line] == [
        "superseded",
        "revoked",
        "after its revocation",
        "barred",
    ]
