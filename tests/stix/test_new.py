import pytest
from tests.stix.examples import indicator

from lezha.stix import encode, read, stable_id


def test_the_same_object_is_written_to_the_same_bytes_in_the_order_given() -> None:
    assert encode({"b": 1, "a": "ë"}) == '{"b":1,"a":"ë"}'.encode()
    assert read(encode(indicator())).raw == encode(indicator())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_what_could_not_be_read_is_not_written(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # UnicodeEncodeError is one too
        encode({"a": value})


def test_an_id_belongs_to_its_names_alone() -> None:
    assert stable_id("indicator", "a", "b") == stable_id("indicator", "a", "b")
    ids = {stable_id("indicator", "a", "b"), stable_id("indicator", "ab"), stable_id("malware", "a", "b")}
    assert len(ids) == 3
    assert stable_id("indicator", "a").startswith("indicator--")
