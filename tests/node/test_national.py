"""The policy that lezha.toml names: in force from the start of the node, or the node does not start."""

import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.node.test_node import home, running
from tests.store.conftest import new_url

from lezha.cli.node import make
from lezha.federation.document import Contact
from lezha.node import backup, settings
from lezha.node.age import Passphrase
from lezha.node.errors import NodeError
from lezha.node.identity import new_member
from lezha.node.node import Node
from lezha.node.settings import Settings
from lezha.sharing.cedar import MAX_BYTES
from lezha.store import policies, views
from lezha.store.errors import StoreError
from lezha.store.policies import KeptPolicy

__all__ = ["home"]  # a fixture

ALL = "permit (principal, action, resource);\n"


def set_policy(home: Path, text: str | bytes | None, name: str = "policy.cedar") -> None:
    """Have lezha.toml name a policy of this text; none for None."""
    settings.write(home, replace(settings.load(home), policy="" if text is None else name))
    if text is not None:
        (home / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def kept(home: Path) -> list[KeptPolicy]:
    with running(home) as node, node.log.read() as conn:
        return policies.kept(conn)


async def test_the_policy_is_in_force_when_the_node_has_started(home: Path) -> None:
    set_policy(home, ALL)
    assert [one.text for one in kept(home)] == [ALL]


async def test_a_start_with_the_same_policy_changes_nothing(home: Path) -> None:
    set_policy(home, ALL)
    assert kept(home) == kept(home)


async def test_a_policy_that_has_changed_or_is_named_no_more_is_an_event(home: Path) -> None:
    changed = f"// narrower\n{ALL}"
    last: list[KeptPolicy] = []
    for text in (ALL, changed, None):
        set_policy(home, text)
        last = kept(home)
    assert [one.text for one in last] == [ALL, changed, ""]
    with running(home) as node, node.log.read() as conn:
        assert [one.subject for one in views.changes(conn, 0, ["policy"], 9)] == [
            last[0].hash,
            last[1].hash,
            "none",
        ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("permit (principal", "line 1: this is not Cedar"),
        (
            'permit (principal, action, resource) when { resource.tlp == Tlp::"gren" };',
            'line 1: entity `Tlp::"gren"`',
        ),
        (b"\xff\xfe", "not text in UTF-8"),
        (f"{ALL}//{'c' * MAX_BYTES}", "can't be read|larger than"),
    ],
)
async def test_a_policy_that_can_not_be_used_keeps_the_node_from_starting(
    home: Path, text: str | bytes, words: str
) -> None:
    set_policy(home, text)
    with pytest.raises(NodeError, match=words) as refused:
        Node(home)
    assert "the node does not start without it: mend the file, or take that line out" in str(refused.value)


async def test_a_policy_that_is_gone_keeps_the_node_from_starting(home: Path) -> None:
    set_policy(home, ALL)
    assert kept(home)
    (home / "policy.cedar").unlink()
    with pytest.raises(NodeError, match=r"policy\.cedar can't be read: No such file"):
        Node(home)
    (home / "policy.cedar").mkdir()
    with pytest.raises(NodeError, match=r"policy\.cedar can't be read: Is a directory"):
        Node(home)


async def test_without_cedarpy_a_node_with_a_policy_does_not_start(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cedarpy", None)
    with running(home):  # without a policy nobody needs it
        pass
    set_policy(home, ALL)
    with pytest.raises(NodeError, match=r"needs the package cedarpy: pip install 'lezha\[policy\]'"):
        Node(home)


async def test_a_process_for_people_that_can_not_ask_the_policy_does_not_start(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "tirana"
    url = new_url("postgres", request, tmp_path)
    plain = Settings(new_member(), "tirana", endpoint="https://192.0.2.1:8441", database=url)
    make(home, plain, "National CSIRT", Contact())
    set_policy(home, f"// {home}\n{ALL}")
    assert kept(home)
    Node(home, leads=False).close()
    monkeypatch.setitem(sys.modules, "cedarpy", None)
    monkeypatch.setattr(policies, "_READ", {})
    with pytest.raises(StoreError, match=r"nobody is told anything.*cedarpy"):
        Node(home, leads=False)


async def test_a_backup_holds_the_policy_file_and_what_was_in_force(home: Path, tmp_path: Path) -> None:
    set_policy(home, ALL, "law.cedar")
    before = kept(home)
    lock = Passphrase("a long enough phrase")
    backup.create(home, tmp_path / "node.age", lock, lambda _table, _done: None)
    with (tmp_path / "node.age").open("rb") as file:
        backup.restore(file, tmp_path / "restored", "", lock, lambda _table, _done: None)
    assert (tmp_path / "restored" / "law.cedar").read_text() == ALL
    assert kept(tmp_path / "restored") == before
