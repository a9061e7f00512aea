"""What a peer refuses is told in words to whoever sent it."""

import re
from pathlib import Path

from lezha.federation import refusals

LINK = Path(__file__).parents[2] / "docs" / "link.md"


def test_every_code_that_a_receipt_may_bring_has_words() -> None:
    codes = re.findall(r"^\| `(\w+)` \| [^|]+ \| receipt", LINK.read_text(), re.MULTILINE)
    assert "unknown_key" in codes
    assert [code for code in codes if refusals.words(code) == code] == []


def test_the_code_stays_beside_its_words_and_one_that_is_new_stands_alone() -> None:
    assert refusals.words("bad_signature") == "its signature does not hold (bad_signature)"
    assert refusals.words("from_the_future") == "from_the_future"


def test_a_code_that_somebody_made_up_is_counted_as_other() -> None:
    assert [refusals.known(code) for code in ("authority", "buy_our_product")] == ["authority", "other"]
