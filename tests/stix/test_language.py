import pytest

from lezha.stix.language import is_tag


# RFC 5646 appendix A and §2.2.8.
@pytest.mark.parametrize(
    "tag",
    [
        "de", "sq", "i-enochian", "zh-Hant", "sr-Cyrl", "sr-Latn-RS", "zh-cmn-Hans-CN", "cmn-Hans-CN", "zh-yue-HK",
        "sl-rozaj-biske", "de-CH-1901", "sl-IT-nedis", "hy-Latn-IT-arevela", "de-DE", "es-419", "de-CH-x-phonebk",
        "az-Arab-x-AZE-derbend", "x-whatever", "qaa-Qaaa-QM-x-southern", "en-US-u-islamcal", "zh-CN-a-myext-x-private",
        "en-a-myext-b-another", "art-lojban", "en-GB-oed", "sgn-BE-FR", "zh-min-nan",
    ],
)  # fmt: skip
def test_a_language_tag_is_known_by_its_form(tag: str) -> None:
    assert is_tag(tag)


@pytest.mark.parametrize(
    "tag",
    ["", "a", "de_AT", "de-419-DE", "a-DE", "Shqip!", "de-", "-de", "de--AT", "x", "x-", "123", "dë", "de-AT ", "d" * 9,
     "de" + "-abcde" * 60],
)  # fmt: skip
def test_what_is_no_language_tag_is_told_from_one(tag: str) -> None:
    assert not is_tag(tag)
