"""`lezha policy` as people meet it; what it finds is tested in tests/flows/test_foresee.py."""

import json
import subprocess
from pathlib import Path

from tests.battery.nodes import RunningNode, bundle, indicator, lezha

from lezha.sharing import cedar

ALL = "permit (principal, action, resource);\n"


def check(node: RunningNode, file: Path, text: str | None, *more: str) -> subprocess.CompletedProcess[str]:
    if text is not None:
        file.write_text(text)
    return lezha("policy", "check", file, "--home", node.home, *more)


def test_the_schema_is_printed_as_it_is_shipped() -> None:
    done = lezha("policy", "schema")
    assert (done.returncode, done.stdout) == (0, cedar.schema())
    assert json.loads(lezha("policy", "schema", "--json").stdout) == {"schema": cedar.schema()}


def test_a_policy_that_changes_nothing_says_so(node: RunningNode, tmp_path: Path) -> None:
    done = check(node, tmp_path / "all.cedar", ALL)
    assert done.returncode == 0
    assert done.stdout.startswith(
        "It can be used. Compared with no policy, as now, it changes nothing about what is here."
    )
    assert done.stderr == ""


def test_a_constituent_is_listed_with_what_it_would_get_no_more(node: RunningNode, tmp_path: Path) -> None:
    assert lezha("constituent", "admit", "treasury", "--home", node.home).returncode == 0
    raw = indicator("treasury.example")
    node.publish(bundle([raw]), "everyone", "green")
    text = f'{ALL}@id("not to ours")\nforbid (principal is Constituent, action, resource);'
    done = check(node, tmp_path / "ours.cedar", text, "--limit", "1000")
    assert done.returncode == 0, done.stderr
    assert "treasury (constituent)" in done.stdout
    what = f"{json.loads(raw)['id']} treasury.example (not to ours (line 2))"
    assert f"  treasury (constituent) waits for it: {what}" in done.stdout.splitlines()
    found = json.loads(check(node, tmp_path / "ours.cedar", None, "--limit", "1", "--json").stdout)
    (effect,) = [one for one in found["constituents"] if one["constituent"] == "treasury"]
    assert effect["waiting"] >= 1
    assert list(effect["rules"]) == ["not to ours (line 2)"]
    assert [one["rules"] for one in found["peers"]] == [{}] * len(found["peers"])


def test_whom_nobody_knows_and_what_never_applies_is_pointed_out(node: RunningNode, tmp_path: Path) -> None:
    text = f'{ALL}@id("typo")\nforbid (principal in Community::"eu", action, resource);'
    done = check(node, tmp_path / "typo.cedar", text)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        'Line 2 names Community::"eu", which nobody here knows: it is about nobody.',
        "Withhold nothing that is here: typo (line 2).",
    ]


def test_a_policy_without_a_rule_that_permits_is_pointed_out(node: RunningNode, tmp_path: Path) -> None:
    done = check(node, tmp_path / "none.cedar", "// nothing\n")
    assert done.stderr == "No rule of it permits anything: nothing would leave this member.\n"


def test_what_can_not_be_used_is_refused_in_one_sentence(node: RunningNode, tmp_path: Path) -> None:
    file = tmp_path / "bad.cedar"
    missing = check(node, file, None)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == f"lezha: The national policy {file} can't be read: No such file or directory.\n"
    bad = check(
        node, file, 'permit (principal, action, resource)\nwhen { resource.tlp == Tlp::"gren" };', "--json"
    )
    assert (bad.returncode, bad.stdout) == (1, "")
    assert bad.stderr.startswith(
        f'lezha: The national policy can\'t be used: {file}, line 1: entity `Tlp::"gren"`'
    )
    assert check(node, file, ALL, "--limit", "-1").returncode == 2
    nowhere = lezha("policy", "check", file, "--home", tmp_path)
    assert (nowhere.returncode, "`lezha init` makes one" in nowhere.stderr) == (1, True)


def test_without_a_policy_there_is_none_to_show(node: RunningNode) -> None:
    done = lezha("policy", "show", "--home", node.home)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "No national policy is in force: authors' statements decide alone.\n"
    assert json.loads(lezha("policy", "show", "--home", node.home, "--json").stdout) == []
