"""Is the log what it was? Its chain is computed anew and compared with every checkpoint that there is of it.

The chain alone shows that somebody changed an event and not all after it. Who can write to the database can write the
chain anew, and can cut events off at its end: that only a checkpoint tells that lies elsewhere, with people or peers.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from securesystemslib.signer import Key

from lezha.federation import checkpoint
from lezha.federation.checkpoint import Checkpoint
from lezha.federation.errors import Refused
from lezha.flows import chain
from lezha.flows.findings import Finding, Progress, Reads
from lezha.store import checkpoints, lives, sequencer
from lezha.store.checkpoints import Made

_PART: Final = "checkpoints"


class Given(msgspec.Struct, frozen=True):
    """What lies outside the database, as bytes under the names of where it was found.

    `checkpoints` are envelopes of checkpoints, `commitments` envelopes of what peers keep, `openings` are what the
    node's folder keeps of its schedule.
    """

    checkpoints: Sequence[tuple[str, bytes]] = ()
    commitments: Sequence[tuple[str, bytes]] = ()
    openings: Sequence[tuple[str, Made]] = ()


class Mark(msgspec.Struct, frozen=True):
    """What a checkpoint says, and where it was found. `outside` is false for one from the database itself."""

    where: str
    said: Checkpoint
    outside: bool


class Verdict(msgspec.Struct, frozen=True):
    """What came of it: the last event and its chain, how many checkpoints fit, of them from outside the database.

    `newest_outside` is the last event that a fitting checkpoint from outside covers, 0 if there is none: of what came
    after it nobody can tell whether something was cut off.
    """

    events: int
    chain: str
    fitting: int
    outside: int
    newest_outside: int
    findings: tuple[Finding, ...]


def verify(
    log: Reads, member: str, keys: Sequence[Key], given: Given, progress: Progress = lambda _part, _done: None
) -> Verdict:
    """Compute the chain anew, and compare it with the log's own checkpoints and with what was `given`."""
    findings: list[Finding] = []
    marks = list(_marks(log, member, keys, given, findings))
    wanted = {mark.said.seq for mark in marks}
    held: dict[int, bytes] = {0: sequencer.GENESIS} if 0 in wanted else {}
    last, link = 0, sequencer.GENESIS

    def passed(seq: int, linked: bytes) -> None:
        nonlocal last, link
        last, link = seq, linked
        if seq in wanted:
            held[seq] = linked

    findings += chain.walk(log, progress, passed)
    with log.read() as conn:
        begun = lives.begun(conn)
    fitting = [mark for mark in marks if _fits(mark, held)]
    known_good = max((mark.said.seq for mark in fitting), default=0)
    for mark in marks:
        if not _fits(mark, held):
            words = _why(mark, last, begun, known_good)
            findings.append(Finding(_PART, mark.where, words))
    outside = [mark.said.seq for mark in fitting if mark.outside]
    return Verdict(last, link.hex(), len(fitting), len(outside), max(outside, default=0), tuple(findings))


def _fits(mark: Mark, held: dict[int, bytes]) -> bool:
    found = held.get(mark.said.seq)
    return found is not None and found.hex() == mark.said.chain


def _why(mark: Mark, last: int, begun: Sequence[tuple[int, str]], known_good: int) -> str:
    """Say in words what it means that a checkpoint does not fit."""
    said = mark.said
    names = [name for _, name in begun]
    beyond = said.seq > last
    if said.incarnation not in names[-1:]:
        # The life of the database in which it was made has ended: the log was restored from a backup.
        after = names.index(said.incarnation) + 1 if said.incarnation in names else None
        begins = begun[after][0] if after is not None and after < len(begun) else None
        if begins is not None and begins <= said.seq:
            return (
                f"the log was restored from a backup: with event {begins} its present life began. Missing are events "
                f"{begins} to {said.seq} as they were on {said.at}"
            )
        if begins is None:
            return (
                f"it is of {said.at}, from a life of the log that this one, restored from an older backup, knows "
                f"nothing of. What there was up to event {said.seq} then is missing from where the two part"
            )
    if beyond:
        gone = said.seq - last
        return (
            f"on {said.at} the log had {said.seq} events, and it has {last}: {gone} were cut off at its end"
        )
    where = f"after event {known_good}, which a checkpoint covers, and " if 0 < known_good < said.seq else ""
    return f"event {said.seq} is not the one of {said.at}: {where}up to it something was changed, and the chain anew"


def _marks(
    log: Reads, member: str, keys: Sequence[Key], given: Given, findings: list[Finding]
) -> Iterator[Mark]:
    for where, raw in given.checkpoints:
        yield from _of_checkpoint(where, raw, member, keys, findings, outside=True)
    for where, made in given.openings:
        yield from _of_checkpoint(where, made.checkpoint, member, keys, findings, outside=True)
    yield from _of_commitments(log, member, keys, given, findings)
    for made in _own(log):
        where = f"the log's own of {made.at}"
        yield from _of_checkpoint(where, made.checkpoint, member, keys, findings, outside=False)
        if made.digest:
            yield from _opened(where, made.commitment, made, member, keys, findings, outside=False)


def _of_checkpoint(
    where: str, raw: bytes, member: str, keys: Iterable[Key], findings: list[Finding], *, outside: bool
) -> Iterator[Mark]:
    try:
        yield Mark(where, checkpoint.read(raw, keys, member), outside)
    except Refused as refused:
        findings.append(Finding(_PART, where, str(refused)))


def _of_commitments(
    log: Reads, member: str, keys: Sequence[Key], given: Given, findings: list[Finding]
) -> Iterator[Mark]:
    """Open what peers keep by the random numbers that the log, or else the node's folder, has kept."""
    in_folder = {made.digest: made for _, made in given.openings if made.digest}
    for where, raw in given.commitments:
        try:
            known = checkpoint.read_commitment(raw, keys, member)
        except Refused as refused:
            findings.append(Finding(_PART, where, str(refused)))
            continue
        with log.read() as conn:
            made = checkpoints.by_digest(conn, [known.digest]).get(known.digest) or in_folder.get(
                known.digest
            )
        if made is None:
            words = (
                f"this node committed itself on {known.commitment.at} to a log of which it holds nothing now: what was "
                "written before then was taken out, or the log was restored from an older backup"
            )
            findings.append(Finding(_PART, where, words))
            continue
        yield from _opened(where, raw, made, member, keys, findings, outside=True)


def _opened(
    where: str,
    raw: bytes,
    made: Made,
    member: str,
    keys: Iterable[Key],
    findings: list[Finding],
    *,
    outside: bool,
) -> Iterator[Mark]:
    """Give what a commitment says once it is opened, if its opening is the one that it was made with."""
    try:
        known = checkpoint.read_commitment(raw, keys, member)
        said = checkpoint.read(made.checkpoint, keys, member)
    except Refused as refused:
        findings.append(Finding(_PART, where, str(refused)))
        return
    opened = checkpoint.commit(made.nonce, said.seq, bytes.fromhex(said.chain))
    if opened != known.commitment.commitment:
        words = f"what is kept of {made.at} does not open it: the checkpoint or the random number was changed"
        findings.append(Finding(_PART, where, words))
        return
    yield Mark(where, said, outside)


def _own(log: Reads) -> Iterator[Made]:
    after = 0
    while True:
        with log.read() as conn:
            block = checkpoints.made(conn, after)
        if not block:
            return
        yield from block
        after = block[-1].seq
