"""`lezha release`, and what `lezha publish` warns of, as a duty officer meets them."""

import json
import uuid
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from tests.battery.nodes import RunningNode, bundle, indicator, lezha, until
from tests.federation.keys import TIRANA, charter, roster

from lezha.federation import roster as rosters
from lezha.stix import markings

GREEN = markings.TLP2_IDS["green"]


def run(node: RunningNode, *arguments: str, code: int = 0) -> CompletedProcess[str]:
    done = lezha(*arguments, "--home", node.home)
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    return done


def asked(node: RunningNode, *arguments: str) -> Any:
    return json.loads(run(node, *arguments, "--json").stdout)


def written(folder: Path, *objects: bytes) -> str:
    file = folder / f"{uuid.uuid4()}.json"
    file.write_bytes(bundle(objects))
    return str(file)


def of_own(node: RunningNode, value: str, **more: Any) -> bytes:
    return indicator(value, **({"created_by_ref": node.member, "object_marking_refs": [GREEN]} | more))


@pytest.fixture(scope="module")
def told(pair: tuple[RunningNode, ...]) -> dict[str, Any]:
    """An object that Podgorica has, and one that it does not get."""
    node = pair[0]
    given, kept = of_own(node, "given.example"), of_own(node, "kept.example")
    node.publish(bundle([given]), "podgorica", tlp="green")
    node.publish(bundle([kept]), "podgorica", tlp="red")
    found = {"given": json.loads(given)["id"], "kept": json.loads(kept)["id"]}
    until(lambda: _recorded(node, found["given"]) == ["received"], 20)
    until(lambda: _recorded(node, found["kept"]) == ["withheld"], 20)
    return found


def _recorded(node: RunningNode, stix_id: str) -> list[str]:
    (version,) = node.get(f"/release/explain/{stix_id}", peer="podgorica")["versions"]
    return [one["state"] for one in version["recipients"][0]["recorded"]]


# --- explain --------------------------------------------------------------------------------------------------------


def test_an_object_is_explained_in_words(node: RunningNode, told: dict[str, Any]) -> None:
    shown = run(node, "release", "explain", told["given"]).stdout
    for words in ("self says TLP:GREEN", "to podgorica", "not to be passed on", "named in the audience", "has it",
                  "receipt signed", "docs/design.md, Release", "own systems"):  # fmt: skip
        assert words in shown
    shown = run(node, "release", "explain", told["kept"], "--peer", "podgorica").stdout
    assert "does not get it" in shown
    assert "the recipient is not cleared for its marking" in shown
    assert "withheld since" in shown
    assert "own systems" not in shown


def test_an_explanation_says_once_why_and_what_can_be_done(node: RunningNode, told: dict[str, Any]) -> None:
    shown = run(node, "release", "explain", told["kept"], "--peer", "podgorica").stdout
    why = "the recipient is not cleared for its marking"
    (line,) = [line for line in shown.splitlines() if line.startswith("podgorica")]
    assert line.count(why) == 1
    assert shown.splitlines()[-1].startswith(f"{why}: Publish a tear-line, or clear the peer for more")


@pytest.mark.parametrize(
    ("option", "said"),
    [((), "not to later members"), (("--future-members",), "also to later members")],
)
def test_the_author_says_whether_later_members_get_it(
    node: RunningNode, tmp_path: Path, option: tuple[str, ...], said: str
) -> None:
    raw = indicator("later.example")
    run(node, "publish", written(tmp_path, raw), "--tlp", "amber", "--to", "podgorica", *option)
    assert f"; {said};" in run(node, "release", "explain", json.loads(raw)["id"]).stdout


def test_what_was_recalled_is_explained_too(pair: tuple[RunningNode, ...], tmp_path: Path) -> None:
    node = pair[0]
    raw = indicator("recalled.example")
    run(node, "publish", written(tmp_path, raw), "--tlp", "green", "--to", "podgorica")
    stix_id = json.loads(raw)["id"]
    until(lambda: _recorded(node, stix_id) == ["received"], 20)
    run(node, "recall", stix_id)
    until(lambda: _recorded(node, stix_id) == ["received", "recall received"], 20)
    shown = run(node, "release", "explain", stix_id).stdout
    (line,) = [line for line in shown.splitlines() if line.startswith("podgorica")]
    assert "was given it, and told since that it does not count any more" in line
    assert line.rstrip().endswith(", receipt signed")


def test_an_explanation_as_json_has_everything(node: RunningNode, told: dict[str, Any]) -> None:
    found = asked(node, "release", "explain", told["kept"], "--peer", "podgorica")
    (version,) = found["versions"]
    (answer,) = version["recipients"]
    assert (found["id"], answer["outcome"], answer["because"]["code"]) == (
        told["kept"],
        "withheld",
        "clearance",
    )
    assert answer["because"]["clause"]
    assert answer["because"]["remedy"]


def test_a_bundle_is_explained_before_it_is_published(node: RunningNode, tmp_path: Path) -> None:
    before = node.written()
    file = written(tmp_path, of_own(node, "before.example"))
    shown = run(node, "release", "explain", file, "--tlp", "red", "--to", "podgorica")
    assert "1 object would be published" in shown.stdout
    assert "the recipient is not cleared for its marking" in shown.stdout
    assert "Publish a tear-line" in shown.stdout
    found = asked(
        node, "release", "explain", file, "--tlp", "red", "--to", "podgorica", "--peer", "podgorica"
    )
    (outlook,) = found["outlook"]
    assert (found["dry_run"], outlook["clauses"]) == (True, {"clearance": "docs/design.md, Release"})
    assert len(outlook["examples"]["clearance"]) == 1
    assert node.written() == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["explain", "no-such-file.json"], 2, "say on which terms: --tlp, --to"),
        (["explain", "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "--tlp", "green"], 2, "leave out --tlp"),
        (["explain", "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"], 1, "is held here"),
        (["explain", "no-such-file.json", "--tlp", "green", "--to", "everyone"], 1, "can't be read"),
        (["gaps", "--peer", "atlantis"], 1, "no peer 'atlantis'"),
        (["gaps", "--community", "atlantis"], 1, "no community 'atlantis'"),
        (["gaps", "--since", "yesterday"], 1, "is not a time"),
        (["tearline", "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "--tlp", "green", "--to", "everyone"], 1,
         "is held here"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused_in_words(
    node: RunningNode, arguments: list[str], code: int, words: str
) -> None:
    assert words in run(node, "release", *arguments, code=code).stderr


# --- warnings -------------------------------------------------------------------------------------------------------


def test_warnings_come_before_anything_is_signed_and_stop_who_wants_to_be_stopped(
    node: RunningNode, tmp_path: Path
) -> None:
    plain = indicator("unmarked.example")
    file, terms = written(tmp_path, plain), ("--tlp", "green", "--to", "podgorica")
    before = node.written()
    stopped = run(node, "publish", file, *terms, "--stop-on", "any", code=1)
    assert "Nothing was published: 1 object carries no marking" in stopped.stderr
    assert node.written() == before
    wrong = run(node, "publish", file, *terms, "--stop-on", "unmarkt", code=1)
    assert "There is no warning 'unmarkt' to stop on. There are: any, own_identity" in wrong.stderr
    done = run(node, "publish", file, *terms, "--stop-on", "own_identity")
    assert f"[unmarked: {json.loads(plain)['id']}]" in done.stderr
    assert done.stderr.count("warning:") == 1
    assert "1 object published" in done.stdout


def test_warnings_are_in_json_as_they_are_in_words(node: RunningNode, tmp_path: Path) -> None:
    file = written(tmp_path, indicator("json.example"))
    found = asked(node, "publish", file, "--tlp", "green", "--to", "podgorica", "--dry-run")
    assert [(one["code"], one["count"]) for one in found["warnings"]] == [("unmarked", 1)]
    stopped = run(
        node,
        "publish",
        file,
        "--tlp",
        "green",
        "--to",
        "podgorica",
        "--stop-on",
        "unmarked",
        "--json",
        code=1,
    )
    assert [one["code"] for one in json.loads(stopped.stdout)["warnings"]] == ["unmarked"]


@pytest.mark.parametrize(
    ("tlp", "options", "later"),
    [
        ("green", (), True),
        ("green", ("--no-future-members",), False),
        ("amber", (), False),
        ("amber", ("--future-members",), True),
    ],
)
def test_who_joins_later_gets_what_is_published_as_is_said(
    node: RunningNode, tmp_path: Path, tlp: str, options: tuple[str, ...], later: bool
) -> None:
    raw = of_own(node, "later.example")
    done = run(node, "publish", written(tmp_path, raw), "--tlp", tlp, "--to", "everyone", *options)
    assert "1 object published" in done.stdout
    [version] = node.get(f"/release/explain/{json.loads(raw)['id']}")["versions"]
    assert [one["future_members"] for one in version["statements"]] == [later]


# --- tear-lines and gaps --------------------------------------------------------------------------------------------


def test_a_tear_line_is_shown_and_then_made(node: RunningNode, told: dict[str, Any]) -> None:
    terms = ("--tlp", "clear", "--to", "everyone", "--set-name", "torn", "--set-description", "short")
    shown = run(node, "release", "tearline", told["kept"], *terms, "--dry-run")
    assert '"name": "torn"' in shown.stdout
    assert "kept: pattern, pattern_type, valid_from" in shown.stdout
    assert f"left out: {GREEN}: TLP:GREEN, replaced by TLP:CLEAR" in shown.stdout
    assert "When it is made it gets another id" in shown.stderr
    done = asked(node, "release", "tearline", told["kept"], *terms)
    assert done["object"]["name"] == "torn"
    # Other tests may have linked further peers to this node.
    assert {one["peer"]: one["gets"] for one in done["published"]["outlook"]}["podgorica"] == 1
    assert done["link"]["gets"] == []
    found = asked(node, "objects", "show", done["object"]["id"])
    assert found[0]["found"]["name"] == "torn"


def test_a_tear_line_that_a_warning_stops_is_not_made(node: RunningNode, told: dict[str, Any]) -> None:
    before = node.written()
    done = run(
        node, "release", "tearline", told["kept"], "--tlp", "red", "--to", "everyone", "--stop-on", "red_to_many",
        code=1,
    )  # fmt: skip
    assert "[red_to_many: indicator--" in done.stderr
    assert node.written() == before


def test_gaps_say_what_could_not_be_told_and_what_to_do(node: RunningNode, told: dict[str, Any]) -> None:
    shown = run(node, "release", "gaps", "--since", "90d").stdout
    assert "the recipient is not cleared for its marking" in shown
    assert told["kept"] in shown
    assert "Publish a tear-line" in shown
    found = asked(node, "release", "gaps", "--since", "90d", "--peer", "podgorica")
    assert ("clearance", False) in [(gap["reason"], gap["capped"]) for gap in found["peers"][0]["own"]]
    assert found["cap"] == 1_000


def test_gaps_tell_of_a_community_in_words_and_name_its_members_without_a_link(
    pair: tuple[RunningNode, ...], told: dict[str, Any], tmp_path: Path
) -> None:
    node, podgorica = pair
    stranger = "identity--00000000-0000-4000-8000-00000000c15a"
    wanted = roster(
        charter(TIRANA, name="adriatic"),
        members=dict.fromkeys((node.member, podgorica.member, stranger), 1),
        issued="2026-01-05T08:00:00.000000Z",
        expires="2999-01-01T00:00:00.000000Z",
    )
    file = tmp_path / "adriatic.roster"
    file.write_bytes(rosters.draft(wanted, TIRANA.signer))
    run(node, "community", "accept", str(file))
    shown = run(node, "release", "gaps", "--community", "adriatic").stdout
    assert f"no link with members of adriatic: {stranger}" in shown.splitlines()
    assert ": the recipient is not cleared for its marking" in shown
    [circle] = asked(node, "release", "gaps", "--community", "adriatic")["communities"]
    assert (circle["unlinked"], circle["unlinked_members"]) == (1, [stranger])
    assert circle["words"]["clearance"] == "the recipient is not cleared for its marking"
