"""A pattern is matched, or says why not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lezha.detection import read
from lezha.detection.pattern import MAX_GRAMMAR, MAX_PATTERN

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
SHA1 = "a" * 40


@pytest.mark.parametrize(
    ("pattern", "values"),
    [
        ("[ipv4-addr:value = '198.51.100.7']", ["198.51.100.7"]),
        ("[ipv4-addr:value='198.51.100.0/24']", ["198.51.100.0/24"]),
        ("[ipv4-addr:value ISSUBSET '198.51.100.0/24']", ["198.51.100.0/24"]),
        ("[ipv6-addr:value = '2001:DB8::1']", ["2001:db8::1"]),
        ("[domain-name:value = 'Evil.example']", ["evil.example"]),
        ("[domain-name:value IN ('a.example', 'b.example')]", ["a.example", "b.example"]),
        ("[url:value = 'http://evil.example/it\\'s']", ["http://evil.example/it's"]),
        ("[email-addr:value = 'a@evil.example']", ["a@evil.example"]),
        ("[email-message:from_ref.value = 'a@evil.example']", ["a@evil.example"]),
        ("[network-traffic:dst_ref.value = '198.51.100.7']", ["198.51.100.7"]),
        ("[network-traffic:src_ref.value = '2001:db8::1']", ["2001:db8::1"]),
        ("[network-traffic:dst_ref.value = 'evil.example']", ["evil.example"]),
        (f"[file:hashes.MD5 = '{MD5}']", [MD5]),
        (f"[file:hashes.md5 = '{MD5}']", [MD5]),
        (f"[file:hashes.'MD5' = '{MD5}']", [MD5]),
        (f"[file:hashes.'SHA-1' = '{SHA1}']", [SHA1]),
        (f"[file:hashes.SHA1 = '{SHA1}']", [SHA1]),
        (f"[file:hashes.SHA-1 = '{SHA1}']", [SHA1]),
        (f"[ (file:hashes.'SHA-1' = '{SHA1}') ]", [SHA1]),
        (
            "[domain-name:value = 'a.example' OR ipv4-addr:value = '198.51.100.7']",
            ["a.example", "198.51.100.7"],
        ),
        (
            "[domain-name:value = 'a.example'] OR [domain-name:value = 'b.example']",
            ["a.example", "b.example"],
        ),
        ("([domain-name:value = 'a.example'] OR [domain-name:value == 'a.example'])", ["a.example"]),
    ],
)
def test_a_pattern_whose_every_value_is_enough_is_exact(pattern: str, values: list[str]) -> None:
    reading = read(pattern, "stix")
    assert [each.value for each in reading.observables] == values
    assert reading.exact
    assert reading.unmatched is None
    assert reading.anchors == ()


@pytest.mark.parametrize(
    ("pattern", "anchors", "reason"),
    [
        (f"[file:name = 'x.exe' AND file:hashes.MD5 = '{MD5}']", [MD5], "uses AND"),
        (
            "[url:value = 'http://a.example/'] AND [ipv4-addr:value = '1.2.3.4']",
            ["http://a.example/", "1.2.3.4"],
            "AND",
        ),
        (
            "[domain-name:value = 'a.example'] FOLLOWEDBY [ipv4-addr:value = '1.2.3.4']",
            ["a.example", "1.2.3.4"],
            "FOLL",
        ),
        ("[domain-name:value = 'a.example'] REPEATS 5 TIMES", ["a.example"], "uses REPEATS"),
        ("[domain-name:value = 'a.example'] WITHIN 5 SECONDS", ["a.example"], "uses WITHIN"),
        (
            "[domain-name:value = 'a.example'] START t'2022-07-15T00:00:00Z' STOP t'2022-07-16T00:00:00Z'",
            ["a.example"],
            "uses START",
        ),
        ("[file:name = 'CBricksDoc']", [], "file:name alone is too weak"),
        ("[x509-certificate:issuer = 'CN=WEBMAIL']", [], "x509-certificate:issuer is not matched"),
        ("[domain-name:value != 'a.example']", [], "uses NOT"),
        ("[domain-name:value NOT IN ('a.example')]", [], "uses NOT"),
        ("[email-message:from_ref.value MATCHES '.+@evil\\\\.example$']", [], "uses MATCHES"),
        ("[url:value LIKE 'http://evil.example/%']", [], "uses LIKE"),
        ("[EXISTS domain-name:value]", [], "uses EXISTS"),
        ("[file:size > 4]", [], "uses >"),
        ("[ipv4-addr:value ISSUPERSET '1.2.3.4']", [], "uses ISSUPERSET"),
        ("[domain-name:value ISSUBSET '1.2.3.0/24']", [], "can't be a subset"),
        ("[domain-name:value = 'domain autuo.xicp.net']", [], "not a domain name"),
        ("[ipv4-addr:value = 7]", [], "which is not text"),
        ("[ipv4-addr:value = '1.2.3.4'", [], "not a STIX 2.1 pattern"),
        ("", [], "not a STIX 2.1 pattern"),
    ],
)
def test_a_pattern_that_no_single_value_fulfils_reports_nothing_and_says_why(
    pattern: str, anchors: list[str], reason: str
) -> None:
    reading = read(pattern, "stix")
    assert reading.observables == ()
    assert not reading.exact
    assert [each.value for each in reading.anchors] == anchors
    assert reading.unmatched is not None
    assert reason in reading.unmatched


@pytest.mark.parametrize(
    "pattern",
    [
        "[domain-name:value = 'a.example' OR file:name = 'x']",
        "[domain-name:value = 'a.example' OR (file:name = 'x' AND file:size = 4)]",
        "[domain-name:value IN ('a.example', 'no name')]",
    ],
)
def test_the_part_of_an_or_that_suffices_is_matched_and_the_rest_is_said(pattern: str) -> None:
    reading = read(pattern, "stix")
    assert [each.value for each in reading.observables] == ["a.example"]
    assert not reading.exact
    assert reading.unmatched


def test_a_pattern_of_another_language_is_said_to_be_that() -> None:
    reading = read("alert tcp any any -> any any", "suricata")
    assert reading.unmatched == "pattern_type suricata is not matched by sensors"


def test_a_list_beyond_the_grammars_limit_is_read_all_the_same() -> None:
    pattern = "[" + " OR ".join(f"domain-name:value = 'n{number}.example'" for number in range(5000)) + "]"
    assert len(pattern) > MAX_GRAMMAR
    assert len(read(pattern, "stix").observables) == 5000


@pytest.mark.parametrize(
    "pattern",
    [
        "[" * 10_000,
        "[" + "(" * 8_000,
        "(" * 16_000,
        "[url:value = '" + "\\'" * 100_000,
        "[a:b = 1 AND " + "a:b = 1 OR " * 1_400 + "a:b = 1]",
        "a" * (MAX_GRAMMAR + 1),
        "[" * (MAX_PATTERN + 1),
    ],
)
def test_a_pattern_made_to_hurt_is_refused_in_words(pattern: str) -> None:
    assert read(pattern, "stix").unmatched


@given(st.text("[]()'\\ =.:ANDORab1-", max_size=40))
def test_reading_never_raises_and_is_exact_or_says_why(pattern: str) -> None:
    reading = read(pattern, "stix")
    assert reading.exact == (reading.unmatched is None)


@given(
    st.lists(st.sampled_from(["a.example", "it's", "b\\c", "no", "http://x.example"]), min_size=1, max_size=4)
)
def test_the_fast_path_and_the_grammar_agree(values: list[str]) -> None:
    literals = [value.replace("\\", "\\\\").replace("'", "\\'") for value in values]
    fast = " OR ".join(f"domain-name:value = '{each}' OR url:value = '{each}'" for each in literals)
    assert read(f"[{fast}]", "stix") == read(f"[({fast})]", "stix")
