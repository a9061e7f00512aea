"""Names that people give."""

import pytest

from lezha.access import names


@pytest.mark.parametrize("name", ["sensor-1", "A", "0", "skopje_2", "x" * 60])
def test_letters_digits_and_two_signs_make_a_name(name: str) -> None:
    assert names.is_plain(name)


@pytest.mark.parametrize("name", ["", "-", "_-", "a b", "a/b", "é", "²", "\u202e", "a\0", "a\n", "x" * 61])
def test_nothing_else_does(name: str) -> None:
    assert not names.is_plain(name)
