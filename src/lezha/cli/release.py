"""`lezha release`: who gets what and why, what could not be told, and tear-lines."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from lezha.cli import api, publish
from lezha.cli.api import Api, Refusal
from lezha.cli.console import note, say, show_json, table
from lezha.cli.errors import CliError
from lezha.cli.options import DEFAULT_HOME, Home, Json, TokenFile, Url
from lezha.cli.publish import Expires, FutureMembers, Onward, PapOption, StopOn, TlpOption, To
from lezha.sharing.tlp import Pap, Tlp
from lezha.stix import objects

app = typer.Typer(help="See who gets what and why, and what could not be told.", no_args_is_help=True)

_STANDING: Final = {
    "offered": "on its way since {at}",
    "given": "given {at}",
    "received": "receipt signed {at}",
    "refused": "it refused it {at}: {words}",
    "void": "held back before it was sent {at}: {words}",
    "withheld": "withheld since {at}: {words}",
    "recalled": "recalled {at}, not signed for yet",
    "recall received": "recalled {at}, receipt signed",
    "withdrawn": "told {at} that it does not count any more",
}


@app.command("explain")
def explain(
    what: Annotated[
        str, typer.Argument(help="A STIX id that is held here; or a bundle that is not published yet.")
    ],
    peer: Annotated[str, typer.Option(help="Of this recipient only.")] = "",
    tlp: Annotated[Tlp | None, typer.Option(help="Of a bundle: the TLP 2.0 label of the statement.")] = None,
    to: Annotated[
        list[str], typer.Option(help="Of a bundle: a community, a peer, or everyone; several times.")
    ] = [],  # noqa: B006  # typer copies it
    pap: PapOption = Pap.GREEN,
    onward: Onward = False,
    future_members: FutureMembers = None,
    expires: Expires = "",
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Explain who gets an object and who does not, why, and by which rule and clause; nothing is written.

    Example: lezha release explain indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f --peer podgorica

    Example: lezha release explain wiper.json --tlp amber --to nato
    """
    if not objects.is_id(what):
        if tlp is None or not to:
            raise CliError(
                f"{what} is no STIX id. To explain a bundle before it is published, say on which terms: --tlp, --to.",
                2,
            )
        terms = publish.terms(tlp, to, pap, onward, future_members, expires)
        _explain_bundle(publish.asked(home, url, token_file, Path(what), terms, json), peer, json)
        return
    if tlp is not None or to:
        raise CliError(
            "What is held here is explained on the terms that were signed: leave out --tlp and --to.", 2
        )

    async def call(node: Api) -> Any:
        return await node.get(f"/release/explain/{api.segment(what)}", [("peer", peer)] if peer else [])

    found = api.run(home, url, token_file, call)
    if json:
        show_json(found)
        return
    for one in found["versions"]:
        _show_version(one)


@app.command("gaps")
def gaps(
    since: Annotated[
        str, typer.Option(help="Withheld since then: 2026-11-01T00:00:00Z, or 24h, 7d, 12w ago; else ever.")
    ] = "",
    peer: Annotated[str, typer.Option(help="Of this peer only.")] = "",
    community: Annotated[str, typer.Option(help="Of this community's members only.")] = "",
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Show what could not be told to whom, by which rule, and what can be done about it.

    Example: lezha release gaps --since 90d --community nato
    """
    given = {"since": since, "peer": peer, "community": community}
    query = [(name, value) for name, value in given.items() if value]

    async def call(node: Api) -> Any:
        return await node.get("/release/gaps", query)

    found = api.run(home, url, token_file, call)
    if json:
        show_json(found)
        return
    _show_gaps("What this member published and could not be told:", found["peers"], "own")
    _show_gaps("What others published and is not passed on:", found["peers"], "others")
    table(
        ("community", "roster", "members", "without a link", "own not told", "others' not passed on"),
        [_circle(one) for one in found["communities"]],
        "There are no communities yet.",
    )
    for one in found["communities"]:
        if unlinked := one["unlinked_members"]:
            more = ", …" if one["unlinked"] > len(unlinked) else ""
            say(f"no link with members of {one['community']}: {', '.join(unlinked)}{more}")
    _show_remedies(found["peers"])


@app.command("tearline")
def tearline(
    id: Annotated[str, typer.Argument(help="The STIX id of an own object.")],  # noqa: A002  # the argument's name
    tlp: TlpOption,
    to: To,
    without: Annotated[
        list[str],
        typer.Option(
            help="Leave out a property (description, external_references, …) or an id; several times."
        ),
    ] = [],  # noqa: B006  # typer copies it
    set_name: Annotated[str | None, typer.Option(help="Give it another name.")] = None,
    set_description: Annotated[str | None, typer.Option(help="Give it another description.")] = None,
    pap: PapOption = Pap.GREEN,
    onward: Onward = False,
    future_members: FutureMembers = None,
    expires: Expires = "",
    stop_on: StopOn = [],  # noqa: B006  # typer copies it
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show it and say who would get it; write nothing.")
    ] = False,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Make a variant of an own object with less in it, for more members: a tear-line, with an id of its own.

    What not everyone among them may know is left out by itself, and so is what is marked as narrower. What is kept is
    listed.

    Example: lezha release tearline malware--0c7b5b88-8ff7-4a4d-aa9d-feb398cd0061 --tlp green --to wb6 --without
    description --set-name "Wiper" --dry-run
    """
    given: dict[str, object] = {
        "id": id, "tlp": tlp.value, "to": to, "without": without, "pap": pap.value, "onward": onward,
        "future_members": future_members, "stop_on": stop_on, "dry_run": dry_run,
    }  # fmt: skip
    texts = {"set_name": set_name, "set_description": set_description, "expires": expires or None}
    given |= {name: text for name, text in texts.items() if text is not None}

    async def call(node: Api) -> Any:
        return await node.post("/release/tearline", given)

    try:
        done = api.run(home, url, token_file, call)
    except Refusal as refusal:
        publish.show_rejected(refusal.body.get("rejected", []))
        publish.show_warnings(refusal.body.get("warnings", []))
        raise
    if json:
        show_json(done | {"dry_run": dry_run})
        return
    _show_torn(done, dry_run)


def _show_torn(done: Mapping[str, Any], dry_run: bool) -> None:
    if dry_run:
        show_json(done["object"])
        note("When it is made it gets another id.")
    for remark in done["remarks"]:
        note(f"look again: {remark}")
    say(f"kept: {', '.join(done['kept']) or 'nothing'}")
    say(f"still named: {', '.join(done['named']) or 'nothing but this member'}")
    for one in done["dropped"]:
        say(f"left out: {one['what']}: {one['why']}")
    publish.show_outcome(done["published"], dry_run=dry_run)
    publish.show_outlook(done["published"]["outlook"])
    link, gets = done["link"]["words"], ", ".join(done["link"]["gets"])
    say(f"{link[:1].upper()}{link[1:]}: {gets or 'nobody'}.")


def _show_version(one: Mapping[str, Any]) -> None:
    found = one["found"]
    state = "" if found["state"] == "current" else f"  ({found['barred'] or found['state']})"
    say(f"{found['id']}  version {found['version']}  {found['name']}{state}")
    for mark in one["markings"]:
        say(f"  it carries {mark['id']}: {mark['words']}")
    for word in one["statements"]:
        say(f"  {_statement(word)}")
    if one["left_out"]:
        note(f"  {one['left_out']} more statements about it were not looked at.")
    if not one["statements"]:
        say("  nobody has signed for it: own systems only.")
    table(
        ("recipient", "now", "why", "rule", "recorded"),
        [_answer(answer, len(one["statements"])) for answer in one["recipients"]],
        "There is nobody to give it to.",
    )
    reasons = [answer["because"] for answer in one["recipients"] if answer["because"]["remedy"]]
    for words, remedy in {reason["words"]: reason["remedy"] for reason in reasons}.items():
        say(f"{words}: {remedy}")


def _statement(word: Mapping[str, Any]) -> str:
    narrowed = word["effective_tlp"] != word["tlp"]
    said = [
        f"{word['by']} says TLP:{word['tlp'].upper()}"
        + (f" (its own marking makes it TLP:{word['effective_tlp'].upper()})" if narrowed else ""),
        f"PAP:{word['pap'].upper()}",
        f"to {', '.join(word['audience']) or 'nobody'}",
        "may be passed on as TLP allows" if word["onward"] else "not to be passed on",
        "also to later members" if word["future_members"] else "not to later members",
        f"expires {word['expires']}" if word["expires"] else "does not expire",
        f"signed {word['issued']}",
    ]
    if word["came_from"]:
        said.append(f"came from {', '.join(word['came_from'])}")
    return "; ".join(said)


def _answer(answer: Mapping[str, Any], statements: int) -> tuple[str, ...]:
    because = answer["because"]
    other = [one["words"] for one in answer["decisions"] if one["words"] != because["words"]]
    several = f" (of {statements} statements; also: {'; '.join(dict.fromkeys(other))})" if other else ""
    known = {because["words"], *other}
    recorded = [
        _STANDING[one["state"]]
        .format(**one)
        .removesuffix(f": {one['words']}" if one["words"] in known else "")
        for one in answer["recorded"]
    ]
    name = answer["name"] + (f" ({answer['state']})" if answer["state"] not in ("", "active") else "")
    return (
        name,
        answer["words"].removesuffix(f": {because['words']}"),
        because["words"] + several,
        because["clause"],
        "; ".join(recorded) or "nothing",
    )


def _explain_bundle(done: Mapping[str, Any], peer: str, json: bool) -> None:
    shown = [one for one in done["outlook"] if peer in ("", one["peer"])]
    if peer and not shown:
        known = ", ".join(one["peer"] for one in done["outlook"])
        raise CliError(f"There is no recipient {peer!r} here. There are: {known}.")
    if json:
        show_json(dict(done) | {"outlook": shown, "dry_run": True})
        return
    publish.show_outcome(done, dry_run=True)
    rows = []
    for one in shown:
        rows += [
            (publish.recipient(one), "gets", str(one["gets"]), rule, "docs/design.md, Release", "")
            for rule in one["rules"]
        ]
        rows += [
            (
                publish.recipient(one), "does not get", str(count), one["words"][code], one["clauses"][code],
                f"{one['remedies'][code]} (e.g. {', '.join(one['examples'][code])})",
            )
            for code, count in one["withheld"].items()
        ]  # fmt: skip
    table(
        ("recipient", "", "objects", "why", "rule", "what to do"),
        rows,
        "There are no peers and no constituents yet.",
    )


def _show_gaps(title: str, peers: Sequence[Mapping[str, Any]], which: str) -> None:
    say(title)
    rows = [
        (
            one["peer"] + ("" if one["state"] == "active" else f" ({one['state']})"),
            _count(gap), gap["words"], gap["clause"], ", ".join(each["id"] for each in gap["examples"]),
        )
        for one in peers
        for gap in one[which]
    ]  # fmt: skip
    table(("peer", "objects", "why", "rule", "for example"), rows, "Nothing.")


def _show_remedies(peers: Sequence[Mapping[str, Any]]) -> None:
    remedies = {gap["words"]: gap["remedy"] for one in peers for gap in (*one["own"], *one["others"])}
    for words, remedy in remedies.items():
        say(f"{words}: {remedy}")


def _count(gap: Mapping[str, Any]) -> str:
    return f"{gap['count']:,}{' and more' if gap['capped'] else ''}"


def _circle(one: Mapping[str, Any]) -> tuple[str, ...]:
    def sums(counts: Mapping[str, int]) -> str:
        return "; ".join(f"{count:,}: {one['words'][code]}" for code, count in counts.items()) or "nothing"

    roster = f"{one['roster']}, expired {one['expires']}" if one["expired"] else str(one["roster"])
    return (
        one["community"], roster, str(one["members"]), str(one["unlinked"]), sums(one["own"]), sums(one["others"]),
    )  # fmt: skip
