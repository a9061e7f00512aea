"""What an analyst writes down, and what is looked for."""

import pytest

from lezha.detection.lookup import lookups, refang


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("198.51.100[.]2", ["198.51.100.2"]),
        (
            "hxxps://c2[.]evil(.)example/a",
            ["https://c2.evil.example/a", "c2.evil.example", "evil.example"],
        ),
        ("hXXp[:]//evil.example/", ["http://evil.example/", "evil.example"]),
        ("bad[at]evil[dot]example", ["bad@evil.example", "evil.example"]),
        (" C2[.]Evil.Example. ", ["c2.evil.example", "evil.example"]),
        ("second wave", []),
        ("[.]", []),
        ("", []),
    ],
)
def test_a_value_may_be_written_so_that_nobody_clicks_it(written: str, meant: list[str]) -> None:
    assert [one.value for one in lookups(written) if "/" not in one.value or "://" in one.value] == meant


@pytest.mark.parametrize(
    "value", ["http://[2001:db8::1]:8080/a", "203.0.113.0/24", "a@evil.example", "2001:db8::1"]
)
def test_a_value_that_can_be_clicked_stays_as_it_is(value: str) -> None:
    assert refang(value) == value


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("https://User:Secret@C2.Evil.Example:8443/a?b=http://other.example/", "c2.evil.example"),
        ("http://evil.example?b=@other.example", "evil.example"),
        ("http://other.example@evil.example/@x", "evil.example"),
        ("http://192.0.2.7:8080/a", "192.0.2.7"),
        ("http://[2001:db8::1]:8080/a", "2001:db8::1"),
        ("http://[::ffff:192.0.2.7]/", "192.0.2.7"),
        ("a.b@mail.evil.example", "mail.evil.example"),
    ],
)
def test_a_url_and_a_mail_address_find_their_host_and_what_contains_it(written: str, host: str) -> None:
    found = lookups(written)
    assert found[1:] == lookups(host)
    assert found[1].value == host


def test_a_host_of_a_single_label_is_not_looked_for() -> None:
    assert [one.value for one in lookups("http://intranet/a")] == ["http://intranet/a"]


@pytest.mark.parametrize(
    ("written", "value"),
    [("0.0.0.0/0", "0.0.0.0/0"), ("10.1.2.3/0", "0.0.0.0/0"), ("::/0", "::/0"), ("2001:db8::/0", "::/0")],
)
def test_all_addresses_are_a_network_that_one_may_ask_for(written: str, value: str) -> None:
    (found,) = lookups(written)
    assert found.value == value


@pytest.mark.parametrize("written", ["/0", "x/0", "evil.example/0", "0.0.0/0", "::/00", "1.2.3.4/5/0"])
def test_not_everything_with_a_nought_is_a_network(written: str) -> None:
    assert lookups(written) == ()
