"""docs/taxii.md: each clause has its id, its level and tests that there are, or says that it is not met."""

import ast
import re
from typing import Final

from tests.conftest import ROOT

PAGE: Final = (ROOT / "docs" / "taxii.md").read_text("utf-8")
ROWS: Final = re.findall(
    r"^\| `([\d.]+-[a-z])`(?: ¹)? \| ([A-Za-z ]+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE
)


def claims_in(pattern: str) -> set[str]:
    found = [ast.walk(ast.parse(path.read_text("utf-8"))) for path in (ROOT / "tests").glob(pattern)]
    return {
        node.name
        for nodes in found
        for node in nodes
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_each_clause_has_its_own_id_and_comes_in_the_order_of_the_standard() -> None:
    ids = [one for one, *_ in ROWS]
    assert len(ids) == PAGE.partition("## By clause")[2].count("\n| `")
    order = [(*map(int, one.partition("-")[0].split(".")), 0, 0, 0)[:4] for one in ids]
    assert [*zip(order, ids, strict=True)] == sorted(set(zip(order, ids, strict=True)))


def test_each_clause_has_a_level_and_tests_that_there_are() -> None:
    there = claims_in("taxii/*.py") | claims_in("web/test_tools.py")
    for one, level, _, told in ROWS:
        assert level in {"MUST", "MUST NOT", "SHOULD", "MAY", "lezha"}, one
        named = re.findall(r"`(test_\w+)`", told)
        assert named or told.startswith("not met: "), one
        assert set(named) <= there, one
