"""The sending end, as conversations: on the left what the outbox wants, on the right what then happens."""

import pytest

from lezha.federation.frame import Receipt
from lezha.federation.outbox import LONGEST_PAUSE_S, Command, Fork, Greet, Outbox, Pause, Send, Wait

OURS = "incarnation-1"


class Conversation:
    """An outbox whose view ends at `head`; the chain value at number n is the byte n, 32 times."""

    def __init__(self, head: int, jitter: float = 1.0) -> None:
        self.head = head
        self.outbox = Outbox(OURS, lambda: jitter)

    def wants(self, expected: Command) -> "Conversation":
        assert self.outbox.next(self.head) == expected
        return self

    def receipt(self, head: int, *, incarnation: str = OURS, chain: bytes | None = None) -> "Conversation":
        own = bytes([head]) * 32 if head <= self.head else None
        told = (own if chain is None else chain) or bytes(32)
        receipt = Receipt("receiver", "sender", incarnation, head, told.hex(), "")
        self.outbox.receipted(receipt, self.head, own)
        return self

    def fails(self) -> "Conversation":
        self.outbox.failed()
        return self

    def grows_to(self, head: int) -> "Conversation":
        self.head = head
        return self


def test_it_greets_then_sends_then_waits() -> None:
    talk = Conversation(head=5)
    talk.wants(Greet()).receipt(0)
    talk.wants(Send(0)).receipt(3)
    talk.wants(Send(3)).receipt(5)
    talk.wants(Wait())
    talk.grows_to(6).wants(Send(5)).receipt(6)
    talk.wants(Wait())


def test_with_nothing_to_send_it_greets_all_the_same() -> None:
    Conversation(head=0).wants(Greet()).receipt(0).wants(Wait())


def test_when_nothing_was_heard_for_long_it_greets() -> None:
    talk = Conversation(head=2).wants(Greet()).receipt(2).wants(Wait())
    talk.outbox.quiet()
    talk.wants(Greet()).receipt(2).wants(Wait())
    talk.outbox.quiet()
    talk.wants(Greet()).fails().wants(Pause(0.2)).wants(Greet()).receipt(2).wants(Wait())


def test_it_sends_the_same_again_until_that_is_acknowledged() -> None:
    talk = Conversation(head=5).wants(Greet()).receipt(2)
    talk.wants(Send(2)).receipt(2)
    talk.wants(Send(2)).receipt(5)
    talk.wants(Wait())


def test_after_a_failure_it_pauses_and_greets_before_it_sends_again() -> None:
    talk = Conversation(head=5)
    talk.wants(Greet()).receipt(2)
    talk.wants(Send(2)).fails()
    talk.wants(Pause(0.2))
    talk.wants(Greet()).receipt(5)  # the frames had arrived, only the reply was lost
    talk.wants(Wait())


def test_pauses_double_up_to_eight_seconds() -> None:
    talk = Conversation(head=1)
    for seconds in (0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 8.0, 8.0):
        talk.wants(Greet()).fails().wants(Pause(seconds))


def test_pauses_stay_at_eight_seconds_for_ever() -> None:
    talk = Conversation(head=1)
    for _ in range(5000):
        talk.fails()
    talk.wants(Pause(LONGEST_PAUSE_S))


def test_jitter_takes_off_up_to_half_of_a_pause() -> None:
    Conversation(head=1, jitter=0.0).fails().wants(Pause(0.1))
    Conversation(head=1, jitter=0.5).fails().wants(Pause(0.2 * 0.75))


def test_a_receipt_ends_the_growing_of_pauses() -> None:
    talk = Conversation(head=1)
    talk.fails().wants(Pause(0.2)).wants(Greet()).fails().wants(Pause(0.4))
    talk.wants(Greet()).receipt(0).wants(Send(0)).fails().wants(Pause(0.2))


def test_a_receiver_that_was_restored_is_sent_the_rest_again() -> None:
    talk = Conversation(head=9).wants(Greet()).receipt(9).wants(Wait())
    talk.grows_to(10).wants(Send(9)).receipt(4)  # restored from an older backup in between
    talk.wants(Send(4)).receipt(10)
    talk.wants(Wait())


def test_a_receiver_that_holds_another_frame_is_a_fork() -> None:
    with pytest.raises(Fork, match="another frame 3"):
        Conversation(head=5).wants(Greet()).receipt(3, chain=b"x" * 32)


def test_a_receiver_that_is_ahead_of_the_sender_is_a_fork() -> None:
    with pytest.raises(Fork, match="another frame 6"):
        Conversation(head=5).wants(Greet()).receipt(6)


def test_a_receipt_for_another_incarnation_is_a_fork() -> None:
    with pytest.raises(Fork, match="incarnation-0"):
        Conversation(head=5).wants(Greet()).receipt(0, incarnation="incarnation-0")


def test_a_fork_acknowledges_nothing() -> None:
    talk = Conversation(head=5).wants(Greet()).receipt(2)
    with pytest.raises(Fork):
        talk.wants(Send(2)).receipt(5, chain=b"x" * 32)
    talk.wants(Send(2))


def test_when_the_receiver_asks_to_wait_it_goes_on_where_it_was() -> None:
    talk = Conversation(head=5).wants(Greet()).receipt(2).wants(Send(2))
    talk.outbox.held(7)
    talk.wants(Pause(7, firm=True)).wants(Send(2)).receipt(5).wants(Wait())
    assert talk.outbox.failures == 0
