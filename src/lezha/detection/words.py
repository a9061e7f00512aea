"""How text falls into tokens that can be observables: the rules that every engine keeps.

The engines must find the same things, so what a token is does not follow from an implementation but from here.

1. **Words.** A word is a longest run of word characters: ASCII letters and digits, `_`, `-`, `.`, and every
   character from U+00C0 on except punctuation (U+2000–U+206F, U+3000–U+303F without U+3002, the ideographic
   full stop that UTS #46 maps to a dot). Dots at its ends are dropped. Words longer than 253 characters are no
   observables. A word is compared in lower case; one with characters beyond ASCII is first mapped to A-labels.
   * A word that *as a whole* is an IPv4 address in canonical form is that address: `1.2.3.4` hits in
     `1.2.3.4:80`, `1.2.3.4/24`, `src=1.2.3.4.`, and not in `11.2.3.45`, `5.1.2.3.4`, `1.2.3.4-dsl`.
   * A word that as a whole is 32, 40 or 64 hexadecimal digits is that hash; not in `a.<hash>`, nor in longer hex.
   * A word is also every suffix of it that follows a dot: `a.b.evil.example` hits `evil.example`, and
     `notevil.example`, `evil.example-cdn` don't.
2. **Colon words.** As words, with `:` as a further word character, at least two of them, at most 64 characters;
   a lone colon at an end is dropped. One that reads as an IPv6 address is that address, or the IPv4 address
   that it maps.
3. **URLs.** From a scheme that does not follow a scheme character up to white space, a control character, `"`,
   `<` or `>` (RFC 3986 appendix C), left to right, without overlap. It is compared in canonical form, and once
   more without the punctuation at its end that prose puts there. Its host is a word (or colon word), so domains
   and addresses hit in it by rules 1 and 2.
4. **E-mail addresses.** At every `@`: the longest run before it of `atext` or dots (RFC 5322 §3.2.3), and the
   longest of letters, digits, `_ . + -` (so that `from=<a@b.example>` and `to=a@b.example` both hit), either of
   at most 64 characters, with the word after it as the domain. The whole address is compared; the domain is also
   a word of its own.

Text is what JSON says after its escapes are undone. Percent-encoding is not undone, defanging (`hxxp`, `[.]`)
neither; numbers, keys, true and false are no text.
"""

import re
from collections.abc import Iterator

from lezha.detection.address import Address, canonical_address
from lezha.detection.errors import ObservableError
from lezha.detection.name import MAX_NAME, ascii_name
from lezha.detection.url import canonical_url

__all__ = ["emails", "ipv6_addresses", "urls", "words"]

_LETTERS = r"0-9A-Za-z_\-\u00c0-\u1fff\u2070-\u2fff\u3002\u3040-\U0010ffff"
_WORD = rf"{_LETTERS}."
_ATEXT = r"0-9A-Za-z!#$%&'*+/=?^_`{|}~.\-"
_PLAIN = r"0-9A-Za-z_.+\-"
_WORDS = re.compile(f"[{_LETTERS}](?:[{_WORD}]*[{_LETTERS}])?")
_COLON_WORDS = re.compile(f"[{_WORD}:]+")
_URLS = re.compile(r'(?<![0-9A-Za-z+.\-])[A-Za-z][0-9A-Za-z+.\-]*://[^\s\x00-\x20\x7f"<>]+')
_EMAILS = tuple(re.compile(f"(?<![{run}])([{run}]{{1,64}})@(?=([{_WORD}]+))") for run in (_ATEXT, _PLAIN))
_PROSE = ".,;:!?'\")]}*"
_MAX_COLON_WORD = 64


def words(text: str) -> list[str]:
    """Give the words of rule 1 in the form in which they are compared, in order."""
    if text.isascii():
        return _WORDS.findall(text.lower())
    return [comparable for word in _WORDS.findall(text) if (comparable := _comparable(word))]


def _comparable(word: str) -> str:
    """Map a word to A-labels; a label that can't be mapped stays, so that it does not hide its parents."""
    if len(word) > MAX_NAME:
        return ""
    try:
        return ascii_name(word).strip(".")
    except ObservableError:
        return ".".join(map(_comparable_label, word.split(".")))


def _comparable_label(label: str) -> str:
    try:
        return ascii_name(label)
    except ObservableError:
        return label


def ipv6_addresses(text: str) -> Iterator[Address]:
    """Give the addresses of rule 2, in order."""
    for run in _COLON_WORDS.findall(text):
        word = run.strip(".")
        if word.count(":") >= 2 and len(word) <= _MAX_COLON_WORD + 2:
            word = _without_lone_colons(word)
            if "::" in word or word.count(":") >= 6:  # spares times of day and hardware addresses
                try:
                    yield canonical_address(word)
                except ObservableError:
                    continue


def _without_lone_colons(word: str) -> str:
    if word.endswith(":") and not word.endswith("::"):
        word = word[:-1]
    if word.startswith(":") and not word.startswith("::"):
        word = word[1:]
    return word


def urls(text: str) -> Iterator[str]:
    """Give the URLs of rule 3 in canonical form, each followed by itself without prose's punctuation."""
    for run in _URLS.findall(text):
        for candidate in dict.fromkeys((run, run.rstrip(_PROSE))):
            try:
                yield canonical_url(candidate)
            except ObservableError:
                continue


def emails(text: str) -> Iterator[str]:
    """Give the e-mail addresses of rule 4 in the form in which they are compared."""
    for pattern in _EMAILS:
        for local, domain in pattern.findall(text):
            yield f"{local.lower()}@{_comparable(domain.strip('.')) if len(domain) <= MAX_NAME + 2 else ''}"
