"""There is one way out of a node: `lezha.sharing.release.release`. The source is read to make sure."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "lezha"
KERNEL = "sharing/release.py"
FRAMES = "federation/frame.py"
EXPORT = "flows/export.py"
MODULES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))


def name_of(node: ast.expr) -> str:
    """The last part of a dotted name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def text_of(node: ast.expr) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def hides(alias: ast.alias) -> bool:
    """Under another name nothing of this would be found."""
    return alias.name == "_SEAL" or (alias.name == "Released" and alias.asname is not None)


def forged_releases(source: str) -> list[int]:
    """Lines on which something makes, subclasses or prises open a `Released`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            through = isinstance(node.func, ast.Attribute) and name_of(node.func.value) == "Released"
            made_of = name_of(node.func) in {"__new__", "cast", "copy", "deepcopy", "replace"} and any(
                name_of(argument) == "Released" for argument in node.args
            )
            if name_of(node.func) == "Released" or through or made_of:
                found.append(node.lineno)
        elif isinstance(node, ast.ClassDef):
            found += [node.lineno for base in node.bases if name_of(base) == "Released"]
        elif isinstance(node, ast.ImportFrom):
            found += [node.lineno for alias in node.names if hides(alias)]
        elif (isinstance(node, ast.expr) and "_SEAL" in {name_of(node), text_of(node)}) or (
            isinstance(node, ast.expr) and text_of(node) == "Released"
        ):
            found.append(node.lineno)
    return found


def calls(source: str, *names: str) -> list[int]:
    """Lines on which something of these names is called."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and name_of(node.func) in names
    ]


def text(module: str) -> str:
    return (SOURCE / module).read_text()


@pytest.mark.parametrize("module", [one for one in MODULES if one != KERNEL])
def test_no_other_module_makes_a_release(module: str) -> None:
    assert forged_releases(text(module)) == []


def test_the_kernel_makes_a_release_in_one_place() -> None:
    assert len(calls(text(KERNEL), "Released")) == 1


@pytest.mark.parametrize(
    "forgery",
    [
        "Released(None, facts, recipient, '')",
        "release.Released(None, facts, recipient, '')",
        "Released.__new__(Released)",
        "object.__new__(Released)",
        "cast(Released, withheld)",
        "class Mine(Released): pass",
        "from lezha.sharing.release import _SEAL",
        "from lezha.sharing.release import Released as R",
        "release._SEAL",
        "getattr(release, '_SEAL')",
        "getattr(release, 'Released')",
    ],
)
def test_a_forgery_would_be_found(forgery: str) -> None:
    assert forged_releases(forgery) == [1]


def test_what_a_frame_carries_is_packed_in_one_module() -> None:
    assert [one for one in MODULES if calls(text(one), "Parcel")] == [FRAMES]


def test_frames_of_a_stream_are_made_in_one_flow() -> None:
    assert [one for one in MODULES if calls(text(one), "Frame")] == ["flows/batches.py"]


def test_a_frame_that_the_flow_makes_is_void_or_has_the_kind_of_a_parcel() -> None:
    made = [
        node
        for node in ast.walk(ast.parse(text("flows/batches.py")))
        if isinstance(node, ast.Call) and name_of(node.func) == "Frame"
    ]
    assert {ast.unparse(node.args[1]) for node in made} == {"parcel.kind", "FrameKind.VOID"}


def test_only_pack_statement_says_that_a_frame_is_a_statement() -> None:
    """Others may ask whether one that came is one."""
    for module in MODULES:
        tree = ast.parse(text(module))
        asked = {
            id(part) for node in ast.walk(tree) if isinstance(node, ast.Compare) for part in node.comparators
        }
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and any(
                ast.unparse(node) == "FrameKind.STATEMENT" and id(node) not in asked
                for node in ast.walk(function)
                if isinstance(node, ast.Attribute)
            ):
                assert (module, function.name) == (FRAMES, "pack_statement")


def test_an_export_takes_the_bytes_of_nothing_but_what_was_released() -> None:
    assert [one for one in MODULES if "walk.bytes_of" in text(one)] == [EXPORT]
    (call,) = [
        node
        for node in ast.walk(ast.parse(text(EXPORT)))
        if isinstance(node, ast.Call) and name_of(node.func) == "bytes_of"
    ]
    assert "isinstance(one, Released)" in ast.unparse(call)
    assert not calls(text(EXPORT), "raw", "parcels")


def test_what_an_export_decides_it_decides_by_the_kernel() -> None:
    assert len(calls(text(EXPORT), "gate")) == len(calls(text(EXPORT), "decide")) == 1
    assert [one for one in MODULES if calls(text(one), "PageHead")] == [EXPORT]


def test_the_national_policy_is_asked_about_whatever_may_leave() -> None:
    """A flow decides by a gate of `store.policies` and makes none itself."""
    for module in MODULES:
        if module.startswith(("flows/", "node/", "web/", "cli/", "federation/")):
            assert not calls(text(module), "Gate", "release", "PolicedGate"), module
