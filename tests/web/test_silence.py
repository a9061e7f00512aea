"""A peer that is silent beyond what is usual shows wherever somebody may look."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from tests.battery.nodes import lezha
from tests.federation.keys import PODGORICA
from tests.web.conftest import Served

from lezha.federation.contact import Contact, Contacts
from lezha.flows import contact
from lezha.node.clock import later, utc_now
from lezha.sharing.tlp import Tlp
from lezha.store import peers
from lezha.store.peers import Peer, PeerState

HOUR_AGO = later(utc_now(), hours=-1)


@pytest.fixture(scope="module")
def tirana(served: Callable[[str], Served]) -> Served:
    """Return a node with a peer that was last heard of an hour ago."""
    node = served("Tirana")
    assert node.log
    raw = PODGORICA.document(name="podgorica", endpoints=("https://127.0.0.1:9",))
    one = Peer(
        PODGORICA.member,
        "podgorica",
        PeerState.ACTIVE,
        "",
        Tlp.STRICT,
        HOUR_AGO,
        1,
        "https://127.0.0.1:9",
        raw,
    )
    seen = Contacts(later(HOUR_AGO, days=-1), utc_now(), {PODGORICA.member: Contact(HOUR_AGO)})

    def work(tx: Any) -> None:
        peers.add(tx, one, "test")
        contact.keep(tx, seen)

    node.log.write_now(work)
    return node


def test_it_is_an_alert_on_the_desk_with_since_when_and_what_was_usual(tirana: Served) -> None:
    page = tirana.page("/")
    assert "Nothing has been heard of" in page
    assert re.search(r"for \d+ min", page)
    assert "every 30 s" in page


def test_the_page_of_peers_says_when_it_was_last_heard_of(tirana: Served) -> None:
    page = tirana.page("/peers")
    assert 'data-label="Last contact" class="num alert"' in page
    assert HOUR_AGO in page


def test_the_list_of_peers_names_it(tirana: Served) -> None:
    done = lezha("peer", "list", "--home", tirana.home)
    assert HOUR_AGO in done.stdout
    assert re.search(r"podgorica has been silent for \d+ min", done.stderr)
    assert "usually heard of every 30 s" in done.stderr
