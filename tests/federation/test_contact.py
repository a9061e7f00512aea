"""When a silence is longer than usual: the rule, without clocks."""

from msgspec.structs import replace

from lezha.federation import contact
from lezha.federation.contact import Contact, Contacts, Silence
from lezha.node.clock import later

NOON = "2026-03-01T12:00:00.000000Z"
MEMBER = "identity--00000001-0000-4000-8000-000000000000"


def after(seconds: float) -> str:
    return later(NOON, seconds=seconds)


def overdue(one: Contact, seconds: float, since: str = "") -> bool:
    return contact.is_overdue(one, since, after(seconds))


def with_silences(*seconds: float) -> Contact:
    return Contact(NOON, tuple(Silence(NOON, length) for length in seconds))


def test_a_peer_that_greets_every_thirty_seconds_is_an_alert_after_four_greetings() -> None:
    assert not overdue(Contact(NOON), 120)
    assert overdue(Contact(NOON), 121)


def test_a_peer_that_is_away_every_night_is_an_alert_only_when_it_stays_away() -> None:
    night = 14 * 3600.0
    one = with_silences(night, night, night)
    assert contact.usual_s(one, NOON) == night
    assert not overdue(one, night + 3600)
    assert overdue(one, 1.5 * night + 1)


def test_a_day_of_silence_is_an_alert_whatever_somebody_has_made_usual() -> None:
    day = 86_400.0
    one = with_silences(3 * day, 3 * day, 3 * day)
    assert not overdue(one, day - 1)
    assert overdue(one, day + 1)


def test_one_long_outage_makes_no_outage_usual() -> None:
    assert contact.usual_s(with_silences(90_000.0, 130.0, 130.0), NOON) == 130.0
    assert contact.usual_s(with_silences(90_000.0, 90_000.0), NOON) == contact.GREETING_S


def test_what_was_usual_fifteen_days_ago_is_not_usual_now() -> None:
    one = with_silences(9000.0, 9000.0, 9000.0)
    assert contact.usual_s(one, later(NOON, days=15)) == contact.GREETING_S


def test_a_time_in_which_this_node_did_not_listen_is_nobodys_silence() -> None:
    assert not overdue(Contact(NOON), 90_000, since=after(89_950))
    before = Contacts(since=after(89_950), peers={MEMBER: Contact(NOON)})
    noted = contact.note(before, {MEMBER: Contact(after(89_960))}, after(89_961))
    assert noted.peers[MEMBER].silences == ()


def test_a_peer_that_was_never_heard_of_is_silent_since_this_node_began_to_listen() -> None:
    assert contact.silent_s(Contact(), NOON, after(300)) == 300
    assert overdue(Contact(), 300, since=NOON)


def test_a_silence_is_noted_when_it_is_over_with_its_length() -> None:
    before = Contacts(since=NOON, peers={MEMBER: Contact(NOON)})
    during = contact.note(before, {MEMBER: Contact(NOON)}, after(500))
    assert during.peers[MEMBER].silences == ()
    over = contact.note(during, {MEMBER: Contact(after(600))}, after(601))
    assert over.peers[MEMBER].silences == (Silence(after(600), 600.0),)
    assert (
        contact.note(over, {MEMBER: Contact(after(630))}, after(631)).peers[MEMBER].silences
        == over.peers[MEMBER].silences
    )


def test_what_is_kept_of_silences_is_bounded() -> None:
    noted = Contacts(since=NOON, peers={MEMBER: Contact(NOON)})
    for turn in range(1, 200):
        noted = contact.note(noted, {MEMBER: Contact(after(turn * 200))}, after(turn * 200))
    assert len(noted.peers[MEMBER].silences) == 50


def test_a_restart_forgets_neither_when_a_peer_was_heard_of_nor_its_clock() -> None:
    kept = Contacts(since=NOON, peers={MEMBER: Contact(NOON, skew_s=3.0)})
    noted = contact.note(replace(kept, since=after(60)), {MEMBER: Contact(phase="starting")}, after(61))
    assert (noted.peers[MEMBER].heard, noted.peers[MEMBER].skew_s) == (NOON, 3.0)


def test_a_peer_that_was_removed_is_forgotten() -> None:
    assert contact.note(Contacts(peers={MEMBER: Contact(NOON)}), {}, NOON).peers == {}
