"""What the papers say is what the code does: commands, folders, codes, settings, the protocol's examples, links."""

import ast
import hashlib
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

import lezha.cli
from lezha.access.rights import RIGHTS
from lezha.cli.commands import app
from lezha.federation import checkpoint, enrolment, envelope, frame
from lezha.federation.frame import Batch, Frame, FrameKind
from lezha.federation.roster import Charter, ForATime, Roster
from lezha.federation.tombstone import Tombstone
from lezha.flows.explain import Outcome
from lezha.flows.warn import Code
from lezha.node.settings import Settings
from lezha.sharing.release import Reason
from lezha.sharing.remedies import remedy
from lezha.store.ledger import Fate

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "lezha"
README = ROOT / "README.md"
DESIGN = ROOT / "docs" / "design.md"
LINK = ROOT / "docs" / "link.md"
PAPERS = sorted([README, ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
# The walk-through has a test of its own, which runs its commands.
WITH_COMMANDS = [paper for paper in PAPERS if paper.name != "getting-started.md"]
GENESIS = bytes(32)

_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`]+)`")
_TARGET = re.compile(r"^([a-z]+):.*## ", re.MULTILINE)


def name(paper: Path) -> str:
    return paper.relative_to(ROOT).as_posix()


def section(paper: Path, heading: str) -> str:
    """The text from a heading to the next one of the same level or above."""
    text = paper.read_text("utf-8")
    found = re.search(rf"^(#+) {re.escape(heading)}\n", text, re.MULTILINE)
    assert found, f"{name(paper)} has no heading {heading!r}"
    after = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", after, re.MULTILINE)
    return after[: end.start()] if end else after


def rows(text: str) -> list[list[str]]:
    """The cells of a text's tables, headings left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in lines]
    rules = [number for number, line in enumerate(lines) if set(line) <= set("|-")]
    headings = {*rules, *(number - 1 for number in rules)}
    return [row for number, row in enumerate(cells) if number not in headings]


def coded(cell: str) -> str:
    """What stands between the backquotes of a cell."""
    found = re.fullmatch(r"`([^`]*)`", cell)
    assert found, f"{cell!r} is not one code"
    return found[1]


# --- the command line -------------------------------------------------------------------------------------------


def command_lines(paper: Path) -> Iterator[str]:
    """Command lines that begin with `lezha` and a command, in blocks and in running text."""
    text = paper.read_text("utf-8")
    for kind, block in _FENCE.findall(text):
        if not kind:
            yield from (line for line in block.replace("\\\n", " ").splitlines() if line.startswith("lezha "))
    yield from (
        " ".join(code.split()) for code in _INLINE.findall(_FENCE.sub("", text)) if code.startswith("lezha ")
    )


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the first words name, and the rest."""
    # Any: whether typer's commands are click's own depends on its version.
    command: Any = typer.main.get_command(app)
    while words and (commands := getattr(command, "commands", None)):
        assert words[0] in commands, f"there is no command {words[0]!r}"
        command, words = commands[words[0]], words[1:]
    return command, words


def check(line: str) -> None:
    command, rest = command_of(shlex.split(line)[1:])
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    options = {word.partition("=")[0] for word in rest if word.startswith("--")}
    assert options <= known | {"--help"}, f"{line!r} has options that are not there"


@pytest.mark.parametrize("paper", WITH_COMMANDS, ids=name)
def test_every_command_that_is_shown_exists_with_its_options(paper: Path) -> None:
    for line in command_lines(paper):
        check(line)


def test_the_readme_shows_the_commands_of_the_main_job() -> None:
    shown = {" ".join(shlex.split(line)[1:3]) for line in command_lines(README)}
    wanted = {"peer invite", "peer accept", "peer confirm", "objects search", "peer list"}
    assert wanted <= shown
    assert {"init", "serve", "publish", "sensor"} <= {words.split()[0] for words in shown}


@pytest.mark.parametrize(
    "line", ["lezha teleport", "lezha publish x --no-such-option", "lezha peer forget x"]
)
def test_a_command_that_is_not_there_would_be_found(line: str) -> None:
    with pytest.raises(AssertionError):
        check(line)


def test_the_exit_codes_are_those_of_the_command_line() -> None:
    told = {int(row[0]) for row in rows(section(README, "Two nodes of your own"))}
    promised = set(map(int, re.findall(r"(?:: |; )(\d+)\s", lezha.cli.__doc__ or "")))
    assert told == promised


# --- the repository ---------------------------------------------------------------------------------------------


def test_the_layout_lists_the_folders_that_are_there() -> None:
    listed = [
        coded(row[0]).rstrip("/") for row in rows(section(README, "Where things are")) if "make" not in row[0]
    ]
    there = [path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()]
    assert sorted(listed) == sorted(there)


def test_make_has_every_target_that_is_named_and_the_readme_lists_all() -> None:
    there = set(_TARGET.findall((ROOT / "Makefile").read_text()))
    listed = {
        coded(row[0]).removeprefix("make ")
        for row in rows(section(README, "Where things are"))
        if "make" in row[0]
    }
    assert listed == there
    for paper in PAPERS:
        text = paper.read_text("utf-8")
        code = [
            *_INLINE.findall(text),
            *(line for _, block in _FENCE.findall(text) for line in block.splitlines()),
        ]
        named = {found[1] for line in code if (found := re.match(r"make ([a-z]+)", line))}
        assert named <= there, name(paper)


# --- tables of the design ---------------------------------------------------------------------------------------


def test_the_reasons_are_those_of_the_release_kernel_in_its_words() -> None:
    told = {coded(row[0]): row[1] for row in rows(section(DESIGN, "Release"))}
    assert told == {reason.value: reason.words for reason in Reason}


def test_the_states_of_the_ledger_are_those_of_the_code() -> None:
    assert [coded(row[0]) for row in rows(section(DESIGN, "Recall"))] == [fate.value for fate in Fate]


def test_the_reasons_are_explained_by_their_clauses_and_what_can_be_done() -> None:
    told = {coded(row[0]): (row[1], row[2]) for row in rows(section(DESIGN, "Explained"))}
    here = "docs/design.md, "
    assert told == {one.value: (one.clause.removeprefix(here), remedy(one)) for one in Reason}
    for reason in Reason:
        heading, _, _ = reason.clause.removeprefix(here).partition(";")
        assert section(DESIGN, heading)


def test_the_warnings_are_those_of_publishing() -> None:
    assert [coded(row[0]) for row in rows(section(DESIGN, "Warnings"))] == [code.value for code in Code]


def test_the_outcomes_are_those_of_an_explanation() -> None:
    text = section(DESIGN, "Explained")
    assert [one.value for one in Outcome if f"`{one.value}`" not in text] == []


def test_the_rights_are_those_of_the_one_table() -> None:
    told = {row[0]: set(_INLINE.findall(row[1])) for row in rows(section(DESIGN, "Access"))}
    assert told == {role.value: {right.value for right in rights} for role, rights in RIGHTS.items()}


def test_the_settings_are_documented_with_their_defaults() -> None:
    told = {coded(row[0]): row[1] for row in rows(section(DESIGN, "Settings"))}
    assert list(told) == list(Settings.__struct_fields__)
    values = {key: tomllib.loads(f"value = {coded(text)}")["value"] for key, text in told.items() if text}
    bare = msgspec.json.decode(msgspec.json.encode(Settings(member="", name="")))
    assert values == {key: value for key, value in bare.items() if key not in ("member", "name")}


# --- the protocol of the link -----------------------------------------------------------------------------------


def refusal_codes() -> Iterator[str]:
    """The codes of every `Refused(...)` in the source."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Refused"
            ):
                code = node.args[0]
                assert isinstance(code, ast.Constant), f"{path.name}:{node.lineno}: its code can't be read"
                yield str(code.value)


def test_the_codes_of_refusal_are_those_of_the_code() -> None:
    told = [coded(row[0]) for row in rows(section(LINK, "Codes of refusal"))]
    assert told == sorted(set(refusal_codes()))


@pytest.fixture(scope="module")
def example() -> Any:
    ((kind, block),) = _FENCE.findall(section(LINK, "Worked example"))
    assert kind == "json"
    return json.loads(block)


def test_the_phrase_and_the_commitment_are_computed_as_told(example: Any) -> None:
    told = example["phrase"]
    keys = ("inviter_document", "invited_document", "inviter_nonce", "invited_nonce")
    assert enrolment.phrase(*(told[key] for key in keys)) == told["phrase"]
    told = example["commitment"]
    assert enrolment.commitment(told["nonce"], told["document"].encode()) == told["commitment"]


def test_the_commitment_to_a_log_is_computed_as_told(example: Any) -> None:
    told = example["log"]
    nonce, chain = (bytes.fromhex(told[name]) for name in ("nonce", "chain"))
    assert checkpoint.commit(nonce, told["seq"], chain) == told["commitment"]


def test_frames_and_their_chain_are_computed_as_told(example: Any) -> None:
    told, void, batch = example["frame"], example["void"], example["batch"]
    contents = tuple(part.encode() for part in told["contents"])
    first = Frame(told["number"], FrameKind(told["kind"]), GENESIS, told["envelope"].encode(), contents)
    assert (first.digest().hex(), first.chain().hex()) == (told["digest"], told["chain"])
    second = Frame(void["number"], FrameKind.VOID, first.chain(), bytes.fromhex(void["digest"]))
    assert second.chain().hex() == void["chain"]
    stone = example["tombstone"]
    third = Frame(stone["number"], FrameKind(stone["kind"]), second.chain(), stone["envelope"].encode())
    assert (third.digest().hex(), third.chain().hex()) == (stone["digest"], stone["chain"])
    sent = Batch(frame.PROTOCOL, batch["incarnation"], batch["sent"], (first,))
    assert frame.encode(sent).hex() == batch["hex"]
    assert frame.decode(bytes.fromhex(batch["hex"])) == sent


def test_a_tombstone_is_written_as_told(example: Any) -> None:
    told = example["tombstone"]
    assert (
        msgspec.json.encode(msgspec.json.decode(told["payload"], type=Tombstone)).decode() == told["payload"]
    )
    assert hashlib.sha256(told["payload"].encode()).hexdigest() == told["payload_digest"]


def test_ids_of_communities_and_keys_are_computed_as_told(example: Any) -> None:
    charter = msgspec.json.decode(example["community"]["charter"], type=Charter)
    assert charter.community == example["community"]["id"]
    assert msgspec.json.encode(charter).decode() == example["community"]["charter"]
    assert envelope.key(example["key"]["public"]).keyid == example["key"]["keyid"]


def test_a_roster_is_written_and_named_as_told(example: Any) -> None:
    payload = example["roster"]["payload"].encode()
    roster = msgspec.json.decode(payload, type=Roster)
    assert roster.charter.community == example["community"]["id"]
    assert set(map(type, roster.members.values())) == {int, ForATime}
    assert msgspec.json.encode(roster) == payload
    assert hashlib.sha256(payload).hexdigest() == example["roster"]["digest"]


# --- links ------------------------------------------------------------------------------------------------------


def anchors(paper: Path) -> set[str]:
    """The fragments that a paper's headings can be reached by."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", paper.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("paper", PAPERS, ids=name)
def test_every_link_within_the_repository_leads_somewhere(paper: Path) -> None:
    text = _INLINE.sub("", _FENCE.sub("", paper.read_text("utf-8")))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, fragment = target.partition("#")
        there = (paper.parent / path).resolve() if path else paper
        assert there.exists(), f"{target} is not there"
        assert ROOT in (there, *there.parents), f"{target} leads out of the repository"
        if fragment:
            assert fragment in anchors(there), f"{target}: no such heading"


def test_every_decision_says_what_was_weighed() -> None:
    for paper in sorted((ROOT / "docs" / "adr").glob("*.md")):
        headings = re.findall(r"^## (.+)$", paper.read_text("utf-8"), re.MULTILINE)
        assert headings == ["Context", "Options", "Decision", "Consequences"], name(paper)
