"""docs/operations.md: every event of the logs is told, and the rules name metrics that there are."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.conftest import ROOT

PAGE: Final = (ROOT / "docs" / "operations.md").read_text("utf-8")
SOURCE: Final = ROOT / "src" / "lezha"
LEVELS: Final = {"exception": "error", "error": "error", "warning": "warning", "info": "info"}
# The one place where a line is written under a name that it is given.
GIVEN: Final = ("node/upkeep.py", "failed", "_is_done")


def section(heading: str) -> str:
    return re.split(r"^## ", PAGE[PAGE.index(f"\n## {heading}\n") + 4 :], maxsplit=1, flags=re.MULTILINE)[0]


def logged(path: Path) -> Iterator[tuple[str, str]]:
    """Give the name and level of each line that a module writes into the logs."""
    tree = ast.parse(path.read_text("utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in calls:
        if not (isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "_logger"):
            continue
        level = LEVELS[call.func.attr]
        match call.args[0]:
            case ast.Constant(str(event)):
                yield event, level
            case ast.Name(name):
                module, parameter, function = GIVEN
                assert (path.relative_to(SOURCE).as_posix(), name) == (module, parameter)
                for other in calls:
                    if ast.unparse(other.func) == function:
                        yield ast.literal_eval(other.args[-1]), level
            case other:
                raise AssertionError(
                    f"{path.name}:{call.lineno}: a line without a name: {ast.unparse(other)}"
                )


def test_every_event_of_the_logs_is_told_with_its_levels() -> None:
    there: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for event, level in logged(path):
            there.setdefault(event, set()).add(level)
    rows = re.findall(r"^\| `([\w.]+)` \| ([^|]+) \|", section("Logs"), re.MULTILINE)
    assert [event for event, _ in rows] == sorted(there)
    assert {event: set(levels.strip().split(", ")) for event, levels in rows} == there


def test_the_rules_for_alerts_name_metrics_that_there_are() -> None:
    text = section("Metrics")
    named = set(re.findall(r"\b(lezha_\w+)", "".join(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))))
    told = set(re.findall(r"^\| `(lezha_\w+)` \|", text, re.MULTILINE))
    assert len(named) >= 8
    assert named <= told


def test_the_phases_of_a_link_are_those_of_the_metrics() -> None:
    from lezha.web.metrics import PHASES

    (listed,) = re.findall(r"The phases of a link are (.*?)\.\n", section("Metrics"), re.DOTALL)
    assert tuple(re.findall(r"`([a-z ]+)`", " ".join(listed.split()))) == PHASES
