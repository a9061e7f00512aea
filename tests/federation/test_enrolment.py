"""The introduction: the invitation's text, the commitment, and the phrase that two officers compare."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lezha.federation import enrolment
from lezha.federation.enrolment import Offer
from lezha.federation.errors import EnrolmentError

OFFER = Offer("00" * 8, "11" * 16, "https://192.0.2.1:8441", "22" * 32)
TEXT = enrolment.write_offer(OFFER)
INVITER, INVITED = "aa" * 32, "bb" * 32
NONCES = "01" * 32, "02" * 32


@given(
    st.builds(
        Offer,
        st.text(max_size=50),
        st.text(max_size=50),
        st.text(max_size=200).map("https://".__add__),
        st.text(max_size=100),
    )
)
def test_an_invitation_comes_back_as_it_was_written(offer: Offer) -> None:
    assert enrolment.read_offer(enrolment.write_offer(offer)) == offer


@pytest.mark.parametrize("endpoint", ["", "http://192.0.2.1", "file:///etc/passwd", "192.0.2.1:8441"])
def test_an_invitation_that_leads_elsewhere_is_refused(endpoint: str) -> None:
    text = enrolment.write_offer(replace(OFFER, endpoint=endpoint))
    with pytest.raises(EnrolmentError, match="no https:// endpoint"):
        enrolment.read_offer(text)


def test_an_invitation_is_one_word_that_survives_being_copied() -> None:
    assert TEXT.split() == [TEXT]
    assert TEXT.isascii()
    assert enrolment.read_offer(f"  {TEXT}\r\n") == OFFER


@pytest.mark.parametrize("text", ["", "hello", TEXT.removeprefix("lezha-"), "x" * 5000, TEXT + "A" * 5000])
def test_what_is_no_invitation_is_refused(text: str) -> None:
    with pytest.raises(EnrolmentError, match="not an invitation"):
        enrolment.read_offer(text)


@given(st.integers(len("lezha-invitation-1."), len(TEXT) - 1))
def test_an_invitation_that_was_cut_off_is_refused(end: int) -> None:
    with pytest.raises(EnrolmentError, match="damaged"):
        enrolment.read_offer(TEXT[:end])


@given(st.integers(len("lezha-invitation-1."), len(TEXT) - 1), st.characters())
def test_a_damaged_invitation_is_refused_or_read_but_never_breaks_the_reader(at: int, letter: str) -> None:
    try:
        enrolment.read_offer(TEXT[:at] + letter + TEXT[at + 1 :])
    except EnrolmentError:
        return


def test_a_random_number_has_256_bits_and_is_never_the_same() -> None:
    numbers = {enrolment.new_nonce() for _ in range(100)}
    assert len(numbers) == 100
    assert all(len(bytes.fromhex(number)) == 32 for number in numbers)


def test_a_commitment_binds_the_number_and_the_document() -> None:
    made = enrolment.commitment(NONCES[0], b"document")
    assert made == enrolment.commitment(NONCES[0], b"document")
    assert made != enrolment.commitment(NONCES[1], b"document")
    assert made != enrolment.commitment(NONCES[0], b"documenu")


def test_both_sides_read_the_same_phrase() -> None:
    # What the inviter knows: its own document, what came in, its own number, what was revealed. The other way round
    # at the invited node; the arguments are by role, not by side.
    at_inviter = enrolment.phrase(INVITER, INVITED, *NONCES)
    at_invited = enrolment.phrase(
        inviter=INVITER, invited=INVITED, inviter_nonce=NONCES[0], invited_nonce=NONCES[1]
    )
    assert at_inviter == at_invited


def test_a_phrase_is_fifteen_digits_in_groups_of_five() -> None:
    groups = enrolment.phrase(INVITER, INVITED, *NONCES).split(" ")
    assert [len(group) for group in groups] == [5, 5, 5]
    assert all(group.isdecimal() for group in groups)


@pytest.mark.parametrize("replaced", range(4))
def test_who_stands_in_between_and_replaces_anything_is_heard(replaced: int) -> None:
    parts = [INVITER, INVITED, *NONCES]
    parts[replaced] = "66" * 32
    assert enrolment.phrase(*parts) != enrolment.phrase(INVITER, INVITED, *NONCES)


def test_the_two_sides_cannot_be_exchanged() -> None:
    assert enrolment.phrase(INVITED, INVITER, *NONCES) != enrolment.phrase(INVITER, INVITED, *NONCES)
