"""What an analyst writes down, and what is looked for."""

import pytest

from lezha.detection.lookup import lookups, refang


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("198.51.100[.]2", ["198.51.100.2"]),
        ("hxxps://c2[.]evil(.)example/a", ["https://c2.evil.example/a"]),
        ("hXXp[:]//evil.example/", ["http://evil.example/"]),
        ("bad[at]evil[dot]example", ["bad@evil.example"]),
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
