"""Conversations of version 1 of the link, as they were recorded: each end still plays its part to the byte.

What differs here breaks the link with nodes that are out there. A new kind of conversation is recorded with
`python -m tests.battery.recorded`, which leaves those alone that are there.
"""

import pytest
from tests.battery.recorded import tape
from tests.battery.recorded.scripts import SCRIPTS, play

from lezha.federation import frame
from lezha.federation.frame import FrameKind


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_receiver_answers_as_it_did(name: str) -> None:
    assert play(name, tape.read(name), sender=False).differences == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_sender_says_what_it_did(name: str) -> None:
    assert play(name, tape.read(name), receiver=False).differences == []


def test_every_kind_of_frame_is_recorded() -> None:
    said = [frame.decode(one.raw) for name in SCRIPTS for one in tape.read(name)]
    assert {one.kind for batch in said for one in batch.frames} == set(FrameKind)


def test_every_recorded_conversation_is_played() -> None:
    assert {path.stem for path in tape.FOLDER.iterdir()} == set(SCRIPTS)


@pytest.mark.parametrize("end", ["sender", "receiver"])
def test_an_end_that_plays_another_part_is_found(end: str) -> None:
    other = {"sender": "receiver", "receiver": "sender"}[end]
    assert play("gap", tape.read("duplicate"), **{other: False}).differences
