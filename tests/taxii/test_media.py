"""What a request says of media types, as strict as the specification and as lenient as clients need it."""

import pytest

from lezha.taxii import media


@pytest.mark.parametrize(
    "header",
    [
        "application/taxii+json;version=2.1",
        "application/taxii+json; version=2.1",
        'application/taxii+json;version="2.1"',
        "application/taxii+json",
        "APPLICATION/TAXII+JSON;VERSION=2.1",
        "application/taxii+json;version=2.0, application/taxii+json;version=2.1",
        "text/html, */*;q=0.1",
        "application/*",
        "*/*",
        "",
    ],
)
def test_taxii_2_1_is_accepted(header: str) -> None:
    assert media.is_accepted(header)


@pytest.mark.parametrize(
    "header",
    [
        "application/taxii+json;version=2.0",
        "application/taxii+json;version=1",
        "application/json",
        "application/stix+json;version=2.1",
        "text/html",
        "application/vnd.oasis.taxii+json; version=2.0",
        "application/taxii+json;q=0",
        "*/*;q=0.0",
        ";;;",
        "a" * 5000,
    ],
)
def test_nothing_else_is(header: str) -> None:
    assert not media.is_accepted(header)


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("application/taxii+json;version=2.1", True),
        ("application/taxii+json", True),
        ("application/taxii+json;version=2.0", False),
        ("application/json", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_what_is_posted_is_taxii(header: str, taken: bool) -> None:
    assert media.is_taxii(header) is taken
