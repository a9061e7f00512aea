"""Communities at the command line, as people read it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.battery.nodes import RunningNode, lezha


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    node = RunningNode(tmp_path_factory.mktemp("community"), "tirana")
    try:
        node.start()
        yield node
    finally:
        node.kill()


def said(node: RunningNode, *arguments: str | Path, code: int = 0) -> str:
    """What a command prints on stdout, and then on stderr."""
    done = lezha("community", *arguments, "--home", node.home)
    assert done.returncode == code, done
    return done.stdout + done.stderr


def test_a_roster_is_founded_shown_accepted_and_revised_in_words(here: RunningNode, tmp_path: Path) -> None:
    first, second = tmp_path / "eu.roster", tmp_path / "eu-2.roster"
    words = said(
        here, "create", "eu", "--member", "self=2999-03-31", "--expires", "2999-12-31", "--out", first
    )
    assert words.splitlines() == [
        f"The roster of eu is in {first}.", f"Then, at each member: lezha community accept {first}"
    ]  # fmt: skip
    shown = said(here, "show", first).splitlines()
    assert shown[0].startswith("Roster 1 of eu (community--")
    assert shown[0].endswith("; none was accepted here yet.")
    assert shown[1:] == [
        "joins: tirana (until 2999-04-01T00:00:00.000000Z)",
        "expires: 3000-01-01T00:00:00.000000Z",
        "accepting it admits: tirana",
        "signed by: tirana (1 of 1 must; that is enough)",
    ]
    accepted = said(here, "accept", first).splitlines()
    assert accepted == [*shown[1:3], "eu, roster 1: tirana (until 2999-04-01T00:00:00.000000Z)"]
    revised = said(
        here, "revise", "eu", "--add", "self", "--expires", "2999-06-30", "--out", second
    ).splitlines()
    assert revised[1:3] == [
        "stays: tirana without an end",
        "expires: 2999-07-01T00:00:00.000000Z, before 3000-01-01T00:00:00.000000Z",
    ]
    said(here, "accept", second)
    assert said(here, "show", "eu").splitlines()[3] == "member: tirana, admitted by roster 1"
    assert "2999-07-01T00:00:00.000000Z  tirana" in said(here, "list")


def test_what_cannot_be_is_refused_in_a_sentence(here: RunningNode, tmp_path: Path) -> None:
    new = tmp_path / "new.roster"
    assert "No community 'atlantis' was accepted here" in said(here, "show", "atlantis", code=1)
    assert "has no time" in said(here, "revise", "eu", "--add", "self=", "--out", new, code=2)
    assert "is not a time" in said(here, "revise", "eu", "--add", "self=soon", "--out", new, code=1)
    assert "in the past" in said(here, "revise", "eu", "--expires", "2020-01-01", "--out", new, code=1)
    assert "nobody" in said(here, "revise", "eu", "--remove", "nobody", "--out", new, code=1)
    assert "no community" in said(here, "approve", "atlantis", "self", code=1).lower()
    assert not new.exists()
