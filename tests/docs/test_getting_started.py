"""docs/getting-started.md, typed word for word on two machines.

A block ```` ```console tirana ```` is typed on that machine, line by line, and what comes back must be what the
document shows. Ids, phrases and times differ from run to run: an id or a phrase in the document stands for the one
that appears in its place, here and wherever the document repeats it, in commands too. Times and latencies may be
any. `stays` marks a block whose last command is left running. ```` ```json tirana warning.json ```` is a file that
is written there, and a comment `carry FILE from A to B` is done as it says.
"""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from tests.battery.nodes import until
from tests.conftest import ROOT
from tests.docs.two_machines import Machine, Ran, two_machines

DOCUMENT: Final = ROOT / "docs" / "getting-started.md"
ADDRESSES: Final = {"tirana": "192.0.2.10", "podgorica": "192.0.2.20"}
HOME: Final = "/home/officer"
PATIENCE_S: Final = 20

_PART: Final = re.compile(
    r"^```(?P<kind>console|json) (?P<machine>\w+)(?: (?P<more>\S+))?\n(?P<body>.*?)^```$"
    r"|^<!-- carry (?P<file>\S+) from (?P<source>\w+) to (?P<target>\w+) -->$",
    re.MULTILINE | re.DOTALL,
)
_ANY: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z|\d+\.\d+/\d+\.\d+"
_BOUND: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{5} \d{5} \d{5}"
_VARIABLE: Final = re.compile(f"(?P<any>{_ANY})|(?P<bound>{_BOUND})")
_READS: Final = re.compile(r"lezha (peer list|objects (search|show)|community list)\b")


class Step(NamedTuple):
    """A command of the document and what it shows below it."""

    machine: str
    command: str
    shown: list[str]
    stays: bool


class Carry(NamedTuple):
    """A file that somebody takes to the other machine."""

    file: str
    source: str
    target: str


class Write(NamedTuple):
    """A file of the document."""

    machine: str
    file: str
    text: str


def parts(text: str) -> Iterator[Step | Carry | Write]:
    """Give what the document has its reader do, in order."""
    for found in _PART.finditer(text):
        if found["file"]:
            yield Carry(found["file"], found["source"], found["target"])
        elif found["kind"] == "json":
            yield Write(found["machine"], found["more"], found["body"])
        else:
            yield from _steps(found["machine"], found["body"], found["more"] == "stays")


def _steps(machine: str, body: str, stays: bool) -> Iterator[Step]:
    lines = body.replace("\\\n", "").splitlines()
    begins = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    assert begins[0] == 0, body
    for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
        yield Step(machine, lines[begin][2:], lines[begin + 1 : end], stays and end == len(lines))


class Reader:
    """A stranger with two terminals who does what the document says and compares what comes back."""

    def __init__(self, machines: dict[str, Machine]) -> None:
        self.machines = machines
        self.true: dict[str, str] = {}
        self.last = Ran("", 0)

    def do(self, part: Step | Carry | Write) -> None:
        """Do one thing."""
        if isinstance(part, Carry):
            shutil.move(
                self.machines[part.source].home / part.file, self.machines[part.target].home / part.file
            )
        elif isinstance(part, Write):
            (self.machines[part.machine].home / part.file).write_text(part.text)
        elif part.stays:
            printed = self.machines[part.machine].leave_running(self._command(part))
            self._expect(part, lambda: Ran(printed.read_text(), 0))
        elif part.command == "echo $?":
            assert part.shown == [str(self.last.code)]
            self.last = Ran("", 0)
        else:
            self._type(part)

    def _type(self, step: Step) -> None:
        assert self.last.code == 0, f"the document hides that this failed: {self.last}"
        if _READS.match(step.command):  # what it shows may still be under way
            self._expect(step, lambda: self.machines[step.machine].type(self._command(step)))
        else:
            self.last = self.machines[step.machine].type(self._command(step))
            difference = self._compare(step, self.last.text)
            assert not difference, difference

    def _expect(self, step: Step, look: object) -> None:
        assert callable(look)
        end = time.monotonic() + PATIENCE_S
        while difference := self._compare(step, look().text):
            assert time.monotonic() < end, difference
            time.sleep(0.1)

    def _command(self, step: Step) -> str:
        return _VARIABLE.sub(lambda found: self.true.get(found[0], found[0]), step.command)

    def _compare(self, step: Step, text: str) -> str:
        """Return how what came differs from what is shown, empty if it does not."""
        came = [line.rstrip() for line in text.splitlines()]
        learnt: dict[str, str] = {}
        same = len(came) == len(step.shown) and all(
            self._same(shown.replace(HOME, str(self.machines[step.machine].home)), line, learnt)
            for shown, line in zip(step.shown, came, strict=True)
        )
        if same:
            self.true |= learnt
            return ""
        shown = "\n".join(step.shown)
        return f"{step.machine}$ {step.command}\n--- the document shows\n{shown}\n--- it prints\n{text}"

    def _same(self, shown: str, came: str, learnt: dict[str, str]) -> bool:
        pattern, names, at = "", [], 0
        for found in _VARIABLE.finditer(shown):
            pattern += _literal(shown[at : found.start()]) + (f"({_ANY})" if found["any"] else f"({_BOUND})")
            names.append(found["bound"])
            at = found.end()
        match = re.fullmatch(pattern + _literal(shown[at:]), came)
        if match is None:
            return False
        for name, value in zip(names, match.groups(), strict=True):
            if name is not None and learnt.setdefault(name, self.true.get(name, value)) != value:
                return False
        return True


def _literal(text: str) -> str:
    # How wide the columns of a table are depends on what is in them.
    return r"\s+".join(re.escape(word) for word in re.split(r"\s+", text))


@pytest.mark.timeout(180)
def test_every_command_of_the_document_does_what_the_document_says(tmp_path: Path) -> None:
    with two_machines(tmp_path, ADDRESSES) as machines:
        reader = Reader(machines)
        for part in parts(DOCUMENT.read_text()):
            reader.do(part)
        for machine in machines.values():
            until(lambda machine=machine: set(machine.stop()) <= {0}, 1)  # type: ignore[misc]  # bound now


def test_the_document_uses_every_command_that_links_two_nodes() -> None:
    typed = "\n".join(part.command for part in parts(DOCUMENT.read_text()) if isinstance(part, Step))
    for command in (
        "init", "serve", "peer invite", "peer accept", "peer phrase", "peer confirm", "peer list",
        "community create", "community sign", "community accept", "token create", "sensor --follow",
        "publish warning.json --tlp amber --to nato --dry-run", "objects search",
    ):  # fmt: skip
        assert f"lezha {command}" in typed, command


def test_no_block_of_commands_is_left_untyped() -> None:
    text = DOCUMENT.read_text()
    assert text.count("```console") == len(
        re.findall(r"^```console (tirana|podgorica)( stays)?$", text, re.MULTILINE)
    )
    assert text.count("<!-- carry") == sum(isinstance(part, Carry) for part in parts(text))


def reader() -> Reader:
    return Reader({"tirana": Machine("tirana", Path("/h"), None)})  # type: ignore[arg-type]  # it runs nothing


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (["a b"], "a c"),
        (["a b"], "a b\nand more"),
        (["a b"], ""),
        (["id 5f7b2f9e-43f2-4b0c-9a6d-2f0a9c1d7e34"], "id 5f7b2f9e"),
        (
            ["phrase 11111 22222 33333", "again 11111 22222 33333"],
            "phrase 44444 55555 66666\nagain 44444 55555 77777",
        ),
    ],
)  # fmt: skip
def test_a_difference_between_document_and_program_is_found(shown: list[str], printed: str) -> None:
    assert reader()._compare(Step("tirana", "x", shown, False), printed)


def test_what_the_document_calls_one_thing_is_one_thing_in_later_commands() -> None:
    one = reader()
    assert not one._compare(
        Step("tirana", "x", ["phrase 11111 22222 33333"], False), "phrase  44444 55555 66666\n"
    )
    assert one._command(Step("tirana", "say 11111 22222 33333", [], False)) == "say 44444 55555 66666"
