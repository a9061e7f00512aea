"""What the pages say, in plain words. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec
from markupsafe import Markup, escape

from lezha.flows import look
from lezha.flows.desk import Party, PeerLine
from lezha.flows.explain import Answer, Outcome, Word
from lezha.sharing.release import Reason
from lezha.sharing.terms import Audience
from lezha.sharing.tlp import Tlp

FOOTNOTE: Final = (
    "* This designation is without prejudice to positions on status, and is in line with UNSCR 1244/1999 and the "
    "ICJ Opinion on the Kosovo declaration of independence."
)
_LONG_HASH: Final = re.compile(r"[0-9A-Fa-f]{32,}")
_LONG: Final = timedelta(hours=1)
_KEPT_SPACES: Final = frozenset("\n\t ")


class Mark(msgspec.Struct, frozen=True):
    """A state: its tone (`good`, `idle`, `warn`, `bad`), what it is in two words, and more where there is more."""

    tone: str
    words: str
    more: str = ""


_PHASES: Final = {
    "up to date": Mark("good", "up to date"),
    "sending": Mark("good", "sending"),
    "starting": Mark("idle", "connecting"),
    "unreachable": Mark("bad", "unreachable"),
    "held": Mark("warn", "suspended there"),
    "held back": Mark("warn", "held back", "it takes no more for now"),
    "isolated": Mark("warn", "isolated here", "this node sends nothing"),
    "fenced off": Mark("bad", "fenced off"),
    "fork": Mark("bad", "stream forked"),
    "error": Mark("bad", "error"),
    look.ELSEWHERE.phase: Mark("idle", "not known here", "known to the process that runs the links"),
}
_STATES: Final = {
    "pending": Mark("warn", "pending", "its phrase has not been compared yet"),
    "suspended": Mark("warn", "suspended"),
}


def link(line: PeerLine) -> Mark:
    """Say how the link to a peer is."""
    report = line.report
    if report.state in _STATES:
        return _STATES[report.state]
    mark = _PHASES.get(report.phase, Mark("warn", report.phase or "not running"))
    return msgspec.structs.replace(mark, more=report.fault) if report.fault else mark


def links(lines: Iterable[PeerLine]) -> Mark:
    """Say how all links are together."""
    marks = [link(line) for line in lines]
    if not marks:
        return Mark("idle", "no peers yet")
    counts: dict[str, int] = {}
    for mark in marks:
        word = "up to date" if mark.tone == "good" else mark.words
        counts[word] = counts.get(word, 0) + 1
    tone = max((mark.tone for mark in marks), key=("good", "idle", "warn", "bad").index)
    if len(counts) == 1:
        (word,) = counts
        more = _PHASES[look.ELSEWHERE.phase].more if marks[0] == _PHASES[look.ELSEWHERE.phase] else ""
        return Mark(tone, f"all {len(marks)} {word}" if len(marks) > 1 else f"1 {word}", more)
    return Mark(tone, ", ".join(f"{count} {word}" for word, count in counts.items()))


_OUTCOMES: Final = {
    Outcome.HAS: Mark("good", "has it"),
    Outcome.HAS_NOT_NOW: Mark("warn", "has it", "it would not get it now"),
    Outcome.WITHDRAWN: Mark("held", "withdrawn", "it was told that it does not count any more"),
    Outcome.ON_ITS_WAY: Mark("idle", "on its way"),
    Outcome.HELD_BACK: Mark("warn", "held back", "it was on its way"),
    Outcome.REFUSED: Mark("bad", "refused it"),
    Outcome.WILL: Mark("idle", "will get it"),
    Outcome.MAY: Mark("good", "may have it"),
    Outcome.WITHHELD: Mark("held", "does not get it"),
}
_OTHERS: Final = 3
_RECORDED: Final = {
    "offered": "on its way since",
    "given": "given",
    "received": "receipt signed",
    "refused": "it refused it",
    "void": "held back before it was sent",
    "withheld": "withheld since",
    "recalled": "recalled, not signed for yet; taken back",
    "recall received": "recalled, receipt signed; taken back",
    "withdrawn": "told that it does not count any more",
}


def outcome(answer: Answer) -> Mark:
    """Say what is so for a recipient."""
    return _OUTCOMES[answer.outcome]


def others(answer: Answer) -> list[str]:
    """Return what other statements than the one that counts say to a recipient, as far as it is something else."""
    said = dict.fromkeys(one.words for one in answer.decisions if one.words != answer.because.words)
    return list(said)[:_OTHERS]


def remedies(answers: Iterable[Answer]) -> list[tuple[str, str]]:
    """Return for each reason for which somebody does not get something what can be done about it."""
    found = {one.because.words: one.because.remedy for one in answers if one.because.remedy}
    return list(found.items())


def narrowed(said: Iterable[Word], statement: str) -> str:
    """Say of a statement that the object's own markings make it narrower; empty if they do not."""
    for one in said:
        if one.statement == statement and one.effective_tlp != one.tlp:
            return f"its own marking makes it {tlp(Tlp(one.effective_tlp))}"
    return ""


def recorded(state: str) -> str:
    """Say what the log records of a recipient; a time follows."""
    return _RECORDED[state]


_VERSIONS: Final = {
    "current": ("Current version", ""),
    "superseded": ("Earlier version", "superseded: there is a later version"),
    "revoked": ("Revoked version", "revoked: it does not count any more"),
    "after its revocation": ("Version after its revocation", "does not count: it came after its revocation"),
    "disputed": ("Version in dispute", "in dispute: its creator signed two contents as this one version"),
    "purged": ("Purged version", "purged: its bytes have been destroyed here"),
    "recalled": ("Recalled version", "recalled: whoever told of it has taken that back"),
    "unauthorised": (
        "Version that does not count",
        "does not count: whom it names as its creator has not signed it",
    ),
}


def version_title(found: look.Listed) -> str:
    """Head a version by what it is among the versions of its object."""
    return _VERSIONS[found.barred or found.state.value][0]


def state(found: look.Listed) -> str:
    """Say what a version is among the versions of its object, unless it is the one that counts."""
    return _VERSIONS[found.barred or found.state.value][1]


def state_sentence(found: look.Listed) -> str:
    """Say the same as a sentence of its own."""
    said = state(found)
    return f"{said[:1].upper()}{said[1:]}." if said else ""


def overdue(since: str, now: str) -> bool:
    """Whether something, an RFC 3339 UTC time or empty, has waited for more than an hour."""
    return bool(since) and datetime.fromisoformat(now) - datetime.fromisoformat(since) > _LONG


_KINDS: Final = {
    "ipv4": "IPv4 address",
    "ipv6": "IPv6 address",
    "ipv4-net": "IPv4 network",
    "ipv6-net": "IPv6 network",
    "domain": "domain",
    "url": "URL",
    "md5": "MD5 hash",
    "sha1": "SHA-1 hash",
    "sha256": "SHA-256 hash",
    "email": "e-mail address",
}


def kind(code: str) -> str:
    """Name what a value is."""
    return _KINDS.get(code, code)


def local_time(written: str) -> str:
    """Return a time in UTC as a form's field takes it, without a zone."""
    return written.removesuffix("Z").partition("+00:00")[0][:19]


def actor(name: str) -> str:
    """Name who did something here: the holder of a token, or this node by itself."""
    return "this node by a rule of retention" if name == "node" else name


def reason(code: str) -> str:
    """Say why something is withheld."""
    try:
        return Reason(code).words
    except ValueError:
        return plain(code)


def plain(code: str) -> str:
    """Return a code of a protocol as words."""
    return code.replace("_", " ").replace("-", " ")


def audience(told: Audience, parties: Mapping[str, Party], circles: Mapping[str, str]) -> str:
    """Name an audience."""
    if told.everyone:
        return "everyone"
    named = [circles.get(term.id, "a community not accepted here") for term in told.communities]
    named += [member(one, parties) for one in told.members]
    if not named:
        return "nobody else"
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"


def member(member_id: str, parties: Mapping[str, Party]) -> str:
    """Name a member."""
    party = parties.get(member_id)
    return party.title if party else f"a member unknown here ({member_id.partition('--')[2][:8]})"


def tlp(level: Tlp) -> str:
    """Return a TLP 2.0 label as FIRST writes it."""
    return f"TLP:{level.value.upper()}"


def number(value: int) -> str:
    """Write a whole number."""
    return f"{value:,}"


def count(value: int, one: str, many: str = "") -> str:
    """Write a number with its noun."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def latency(value: float) -> str:
    """Write milliseconds with three figures or so, as seconds from ten on."""
    if value >= 10_000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"


def clock(at: str, now: str) -> Markup:
    """Write an RFC 3339 UTC time: the time of day, with the day unless that is the present one."""
    if len(at) < 19:
        return Markup("")
    day, time = at[:10], at[11:19]
    shown = time if day == now[:10] else f"{day} {time}"
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(at, shown)


def short(text: str) -> str:
    """Return a long hash as its two ends; people compare those."""
    return f"{text[:12]}…{text[-8:]}" if _LONG_HASH.fullmatch(text) else text


def visible(text: str) -> Markup:
    """Return a text of anyone's as HTML, with what would reorder or hide parts of it shown as a code.

    Right-to-left overrides, zero-width and control characters make a hostile name read as another one.
    """
    return (
        Markup("").join(
            Markup('<span class="odd">U+{:04X}</span>').format(ord(letter))
            if _odd(letter)
            else escape(letter)
            for letter in text
        )
        if any(_odd(letter) for letter in text)
        else escape(text)
    )


def endpoint(url: str) -> Markup:
    """Return an address of the network as HTML that breaks, if it must, before its host or its port."""
    scheme, slashes, rest = url.partition("://")
    host, colon, port = rest.rpartition(":")
    if not slashes or not host or "/" in port or "]" in port:
        return visible(url)
    return Markup("{}<wbr>{}<wbr>{}").format(visible(scheme + slashes), visible(host), visible(colon + port))


def prose(text: str) -> Markup:
    """Return a sentence as HTML, with what stands between backticks as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return visible(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(visible(part)) if place % 2 else visible(part)
        for place, part in enumerate(parts)
    )


def local(path: str) -> str:
    """Return a path of this site as it came, "/" for anything else: where to go after signing in."""
    if not path.startswith("/") or path.startswith(("//", "/\\", "/sign-in")):
        return "/"
    # Browsers drop tabs and line ends from URLs and take \ for /: neither has a place here.
    if "\\" in path or any(unicodedata.category(letter) == "Cc" for letter in path):
        return "/"
    return path


def _odd(letter: str) -> bool:
    return letter not in _KEPT_SPACES and unicodedata.category(letter) in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
