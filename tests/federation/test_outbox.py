"""The sending end, as conversations: on the left what the outbox wants, on the right what then happens."""

import pytest
from msgspec import UNSET

from lezha.federation.frame import BATCH_BYTES, LEAST_BYTES, PROTOCOL, Batch, Frame, FrameKind, Receipt
from lezha.federation.outbox import LONGEST_PAUSE_S, Await, Command, Fork, Greet, Outbox, Pause, Send, Wait

OURS = "incarnation-1"
PIECE = 1000


class Conversation:
    """An outbox whose view ends at `head`; the chain value at number n is the byte n, 32 times."""

    def __init__(self, head: int, jitter: float = 1.0) -> None:
        self.head = head
        self.outbox = Outbox(OURS, lambda: jitter)

    def wants(self, expected: Command) -> "Conversation":
        assert self.outbox.next(self.head) == expected
        return self

    def sends(
        self, after: int, upto: int, kind: FrameKind = FrameKind.STATEMENT, **wanted: int
    ) -> "Conversation":
        """It wants to send what follows `after`, and a batch with frames up to `upto` leaves."""
        self.wants(Send(after, **wanted))
        place = wanted.get("begun", 0).to_bytes(8, "big") + bytes(8)
        envelope, contents = (bytes(PIECE), (place,)) if kind is FrameKind.PIECE else (b"", ())
        frames = tuple(
            Frame(number, kind, bytes(32), envelope, contents) for number in range(after + 1, upto + 1)
        )
        self.outbox.sent(Batch(PROTOCOL, OURS, "", frames))
        return self

    def receipt(
        self, head: int, *, incarnation: str = OURS, chain: bytes | None = None, begun: int = 0
    ) -> "Conversation":
        own = bytes([head]) * 32 if head <= self.head else None
        told = (own if chain is None else chain) or bytes(32)
        receipt = Receipt("receiver", "sender", incarnation, head, told.hex(), "", (), begun or UNSET)
        self.outbox.receipted(receipt, self.head, own)
        return self

    def fails(self) -> "Conversation":
        self.outbox.failed()
        return self

    def grows_to(self, head: int) -> "Conversation":
        self.head = head
        return self


def test_it_greets_then_sends_then_waits() -> None:
    talk = Conversation(head=3)
    talk.wants(Greet()).receipt(0)
    talk.sends(0, 3).wants(Await()).receipt(3)
    talk.wants(Wait())
    talk.grows_to(4).sends(3, 4).receipt(4)
    talk.wants(Wait())


def test_with_nothing_to_send_it_greets_all_the_same() -> None:
    Conversation(head=0).wants(Greet()).receipt(0).wants(Wait())


def test_two_batches_are_under_way_and_no_more() -> None:
    talk = Conversation(head=9).wants(Greet()).receipt(0)
    talk.sends(0, 3).sends(3, 5).wants(Await())
    talk.receipt(3).sends(5, 8).wants(Await())
    talk.receipt(5).sends(8, 9).wants(Await())
    talk.receipt(8).wants(Await()).receipt(9).wants(Wait())


def test_over_a_way_with_one_lane_one_batch_is_under_way() -> None:
    talk = Conversation(head=9).wants(Greet()).receipt(0)
    talk.outbox.lanes = 1
    talk.sends(0, 3).wants(Await()).receipt(3).sends(3, 9).wants(Await())


def test_what_follows_a_node_document_waits_for_its_receipt() -> None:
    talk = Conversation(head=9).wants(Greet()).receipt(0)
    talk.sends(0, 1, FrameKind.DOCUMENT).wants(Await()).receipt(1).sends(1, 2).sends(2, 3)


def test_when_nothing_was_heard_for_long_it_greets() -> None:
    talk = Conversation(head=2).wants(Greet()).receipt(2).wants(Wait())
    talk.outbox.quiet()
    talk.wants(Greet()).receipt(2).wants(Wait())
    talk.outbox.quiet()
    talk.wants(Greet()).fails().wants(Pause(0.2)).wants(Greet()).receipt(2).wants(Wait())


def test_it_greets_only_when_nothing_is_under_way() -> None:
    talk = Conversation(head=9).wants(Greet()).receipt(0).sends(0, 3)
    talk.outbox.quiet()
    assert talk.outbox.would_send() is None
    talk.wants(Await()).receipt(3).wants(Greet()).receipt(3).sends(3, 9)


def test_after_a_batch_that_overtook_the_one_before_it_goes_on_from_what_that_says() -> None:
    talk = Conversation(head=9).wants(Greet()).receipt(0)
    talk.sends(0, 3).sends(3, 5).receipt(3)
    talk.receipt(0)  # of the second, which came first, and had a gap before it
    talk.sends(3, 9).receipt(9).wants(Wait())


def test_a_receiver_that_was_restored_while_two_batches_were_under_way_is_found_out() -> None:
    talk = Conversation(head=9).wants(Greet()).receipt(5)
    talk.sends(5, 6).sends(6, 7).receipt(6)
    talk.receipt(2).sends(6, 9).receipt(2)
    talk.sends(2, 9).receipt(9).wants(Wait())


def test_when_some_of_a_batch_is_left_what_is_behind_it_is_waited_for() -> None:
    talk = Conversation(head=9).wants(Greet()).receipt(0)
    talk.sends(0, 3).sends(3, 5).receipt(2).wants(Await())
    talk.receipt(2).sends(2, 9).receipt(9).wants(Wait())


def test_it_sends_the_same_again_until_that_is_acknowledged_and_pauses_between() -> None:
    talk = Conversation(head=5).wants(Greet()).receipt(2)
    talk.sends(2, 5).receipt(2)
    talk.sends(2, 5).receipt(2)
    talk.wants(Pause(0.4)).sends(2, 5).receipt(2)
    talk.wants(Pause(0.8)).sends(2, 5).receipt(5).wants(Wait())


def test_of_what_was_taken_in_part_the_rest_is_sent_without_a_pause() -> None:
    talk = Conversation(head=5).wants(Greet()).receipt(0)
    for taken in range(1, 5):
        talk.sends(taken - 1, 5).receipt(taken)


def test_after_a_failure_it_pauses_and_greets_before_it_sends_again() -> None:
    talk = Conversation(head=5)
    talk.wants(Greet()).receipt(2)
    talk.sends(2, 4).sends(4, 5).fails()
    talk.wants(Pause(0.2))
    talk.wants(Greet()).receipt(5)  # the frames had arrived, only the replies were lost
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
    talk.wants(Greet()).receipt(0).sends(0, 1).fails().wants(Pause(0.2))


def test_what_does_not_arrive_is_sent_in_smaller_batches_and_one_at_a_time() -> None:
    talk = Conversation(head=99)
    most = BATCH_BYTES
    for _ in range(10):
        talk.wants(Greet()).receipt(0).sends(0, 1, most=most).fails()
        talk.outbox.next(talk.head)  # a pause
        most = max(most // 2, LEAST_BYTES)
    talk.wants(Greet()).receipt(0)
    for done in range(6):
        talk.sends(done, done + 1, most=LEAST_BYTES << done).wants(Await()).receipt(done + 1)
    talk.sends(6, 7, most=BATCH_BYTES).sends(7, 8).wants(Await())


def test_a_peer_that_is_away_is_no_reason_for_smaller_batches() -> None:
    talk = Conversation(head=9)
    for _ in range(5):
        talk.wants(Greet()).fails()
        talk.outbox.next(talk.head)  # a pause
    talk.wants(Greet()).receipt(0).sends(0, 9, most=BATCH_BYTES)


def test_a_frame_goes_piece_by_piece_from_where_the_receiver_is() -> None:
    talk = Conversation(head=2).wants(Greet()).receipt(0)
    talk.sends(0, 1, FrameKind.PIECE).wants(Await()).receipt(0, begun=1000)
    talk.sends(0, 1, FrameKind.PIECE, begun=1000).fails().wants(Pause(0.2))
    talk.wants(Greet()).receipt(0, begun=1500)  # the answer was lost, and the piece was not
    talk.sends(0, 1, FrameKind.PIECE, begun=1500, most=BATCH_BYTES // 2).receipt(1)
    talk.sends(1, 2).receipt(2).wants(Wait())


def test_a_piece_that_brings_nothing_on_is_worth_a_pause() -> None:
    talk = Conversation(head=1).wants(Greet()).receipt(0)
    talk.sends(0, 1, FrameKind.PIECE).receipt(0)
    talk.sends(0, 1, FrameKind.PIECE).receipt(0).wants(Pause(0.4)).wants(Send(0))


def test_a_receiver_that_was_restored_is_sent_the_rest_again() -> None:
    talk = Conversation(head=9).wants(Greet()).receipt(9).wants(Wait())
    talk.grows_to(10).sends(9, 10).receipt(4)  # restored from an older backup in between
    talk.sends(4, 10).receipt(10).wants(Wait())


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
        talk.sends(2, 5).receipt(5, chain=b"x" * 32)
    talk.outbox.dropped()
    talk.wants(Greet()).receipt(2).sends(2, 5)


def test_when_the_receiver_asks_to_wait_it_goes_on_where_it_was() -> None:
    talk = Conversation(head=5).wants(Greet()).receipt(2).sends(2, 4).sends(4, 5)
    talk.outbox.held(7)
    assert talk.outbox.would_send() is None
    talk.wants(Pause(7, firm=True)).sends(2, 5).receipt(5).wants(Wait())
    assert talk.outbox.failures == 0


def test_what_is_given_up_is_asked_after() -> None:
    talk = Conversation(head=5).wants(Greet()).receipt(2)
    talk.outbox.dropped()
    talk.sends(2, 4)
    talk.outbox.dropped()
    talk.wants(Greet()).receipt(4).sends(4, 5)


def test_a_receiver_that_invents_bytes_of_a_frame_brings_nothing_on() -> None:
    talk = Conversation(head=9).wants(Greet()).receipt(0).sends(0, 9).receipt(0, begun=1)
    talk.sends(0, 9).receipt(0, begun=2).wants(Pause(0.4))
    talk = Conversation(head=1).wants(Greet()).receipt(0).sends(0, 1, FrameKind.PIECE).receipt(0, begun=5000)
    talk.wants(Send(0, begun=PIECE))


def test_a_receiver_that_goes_back_and_forth_is_sent_less_and_less_often() -> None:
    talk = Conversation(head=9).wants(Greet()).receipt(0).sends(0, 9).receipt(1)
    talk.sends(1, 9).receipt(0).sends(0, 9).receipt(1).sends(1, 9).receipt(0)
    talk.wants(Pause(0.4)).sends(0, 9).receipt(1).wants(Pause(0.4)).sends(1, 9).receipt(0)
    talk.wants(Pause(0.8)).sends(0, 9).receipt(9).wants(Wait())


def test_what_is_behind_a_batch_that_was_overtaken_is_waited_for() -> None:
    talk = Conversation(head=9).wants(Greet()).receipt(0).sends(0, 2).sends(2, 4).receipt(2)
    talk.sends(4, 6).receipt(0)  # of the second; the third has a gap before it
    talk.wants(Await()).receipt(2).sends(2, 9)
