"""`lezha community`: who is in which circle."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from lezha.cli import api, writing
from lezha.cli.api import Api
from lezha.cli.console import note, say, show_json, table
from lezha.cli.errors import CliError
from lezha.cli.options import DEFAULT_HOME, Home, Json, TokenFile, Url
from lezha.federation import roster
from lezha.federation.errors import Refused

app = typer.Typer(help="Found communities, revise, sign and accept their rosters.", no_args_is_help=True)
RosterFile = Annotated[
    Path, typer.Argument(help="A roster, as `lezha community create` or `revise` writes it.")
]
Expires = Annotated[
    str,
    typer.Option(
        help="When the roster expires: a day, to its end in UTC, or a time, as 2027-03-31T12:00:00Z."
    ),
]
Community = Annotated[str, typer.Argument(help="A community that was accepted here, by its name or id.")]
_MAX_ROSTER = 1 << 20


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="The community's name, e.g. nato.")],
    out: Annotated[Path, typer.Option(help="A new file for the roster.")],
    member: Annotated[
        list[str],
        typer.Option(
            metavar="PEER[=UNTIL]",
            help="A peer, or self; with a day or a time, a member until then. May be given several times.",
        ),
    ],
    steward: Annotated[list[str], typer.Option(help="Who may sign rosters: a peer, or self.")] = ["self"],  # noqa: B006  # typer copies it
    threshold: Annotated[int, typer.Option(min=1, help="How many stewards must sign.")] = 1,
    expires: Expires = "",
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Draft the first roster of a community and sign it. It is in force only where it is accepted.

    It expires in a year, or when --expires says.

    Example: lezha community create nato --member self --member podgorica --steward self --steward podgorica
    --threshold 2 --out nato.roster
    """
    writing.check_new(out, "a roster")
    members, until = _with_ends(member)
    wanted = {
        "name": name,
        "members": members,
        "stewards": steward,
        "threshold": threshold,
        "until": until,
        "expires": expires,
    }

    async def call(node: Api) -> bytes:
        return await node.call("POST", "/communities", body=msgspec.json.encode(wanted))

    raw = api.run(home, url, token_file, call)
    writing.new(out, raw, "a roster")
    if json:
        show_json({"name": name, "file": str(out), "threshold": threshold})
        return
    say(f"The roster of {name} is in {out}.")
    _what_next(out, threshold)


@app.command("revise")
def revise(
    community: Community,
    out: Annotated[Path, typer.Option(help="A new file for the roster.")],
    add: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PEER[=UNTIL]",
            help="Who joins, or stays for another time: with a day or a time until then, else for good.",
        ),
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="PEER", help="Who leaves, by name or id.")
    ] = None,
    expires: Expires = "",
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Draft the roster that follows the latest one held here and sign it, as a steward.

    It is in force where it is accepted; members that have accepted the one before get it over their links too, where
    removals count at once and admissions wait for approval. Who was removed and comes back is a later member.

    Example: lezha community revise nato --add vienna=2027-03-31 --remove podgorica --expires 2027-12-31
    --out nato-2.roster
    """
    writing.check_new(out, "a roster")
    members, until = _with_ends(add or [])
    wanted = {
        "community": community, "add": members, "remove": remove or [], "until": until, "expires": expires
    }  # fmt: skip

    async def call(node: Api) -> tuple[bytes, Any]:
        raw = await node.call("POST", "/communities/revise", body=msgspec.json.encode(wanted))
        return raw, await node.post("/communities/review", raw)

    raw, found = api.run(home, url, token_file, call)
    writing.new(out, raw, "a roster")
    if json:
        show_json(
            {
                "name": found["name"],
                "file": str(out),
                "number": found["number"],
                "threshold": found["threshold"],
            }
        )
        return
    say(f"Roster {found['number']} of {found['name']} is in {out}.")
    _show_changes(found)
    _what_next(out, found["threshold"])


@app.command("show")
def show(
    which: Annotated[str, typer.Argument(metavar="FILE|COMMUNITY", help="A roster, or a name or id.")],
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Show what a roster would change here and who has signed it, or a community as it is.

    Example: lezha community show nato-2.roster
    """
    raw = _read(Path(which)) if Path(which).exists() else None

    async def call(node: Api) -> Any:
        if raw is not None:
            return await node.post("/communities/review", raw)
        return await node.get(f"/communities/{api.segment(which)}")

    found = api.run(home, url, token_file, call)
    if json:
        show_json(found)
    elif raw is not None:
        _show_review(found)
    else:
        _show_community(found)


@app.command("sign")
def sign(
    file: RosterFile,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Add this member's signature, as a steward, to a roster that follows the one held here. Shows what it changes.

    Example: lezha community sign nato.roster
    """
    raw = _read(file)

    async def call(node: Api) -> bytes:
        if not json:
            _show_changes(await node.post("/communities/review", raw))
        return await node.call("POST", "/communities/sign", body=raw)

    signed = api.run(home, url, token_file, call)
    writing.anew(file, signed)
    if json:
        show_json({"file": str(file), "signed": True})
        return
    say(f"{file} is signed.")


@app.command("accept")
def accept(
    file: RosterFile,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="PEER", help="Admit this member and no other. May be given several times."),
    ] = None,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Take a roster that enough stewards signed as true here, and admit its members. Shows first what it changes.

    Whom --only leaves out waits: it gets nothing from here until `lezha community approve`.

    Example: lezha community accept nato.roster
    """
    raw = _read(file)

    async def call(node: Api) -> Any:
        review = await node.post("/communities/review", raw)
        if not json:
            _show_changes(review)
        return await node.post("/communities/accept", raw, [("only", name) for name in only or ()])

    found = api.run(home, url, token_file, call)
    if json:
        show_json(found)
        return
    say(f"{found['name']}, roster {found['number']}: {_members(found)}")


@app.command("approve")
def approve(
    community: Community,
    member: Annotated[list[str], typer.Argument(metavar="PEER...", help="Whose admission waits here.")],
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Admit members that came by a roster over a link, or were left out when one was accepted.

    Example: lezha community approve nato vienna
    """

    async def call(node: Api) -> Any:
        return await node.post("/communities/approve", {"community": community, "members": member})

    found = api.run(home, url, token_file, call)
    if json:
        show_json(found)
        return
    say(f"{found['name']}, roster {found['number']}: {_members(found)}")


@app.command("list")
def list_communities(
    home: Home = DEFAULT_HOME, url: Url = "", token_file: TokenFile = None, json: Json = False
) -> None:
    """Show the communities known here and their members, and what is wrong with them.

    Example: lezha community list
    """

    async def call(node: Api) -> Any:
        return await node.get("/communities")

    found = api.run(home, url, token_file, call)
    if json:
        show_json(found)
        return
    rows = [(one["name"], str(one["number"]), one["expires"], _members(one)) for one in found]
    table(("community", "roster", "expires", "members"), rows, "There are no communities yet.")
    for one in found:
        for fault in _faults(one):
            note(f"{one['name']}: {fault}.")


def _with_ends(written: list[str]) -> tuple[list[str], dict[str, str]]:
    """Read PEER or PEER=UNTIL."""
    parts = [one.partition("=") for one in written]
    for name, equals, until in parts:
        if equals and not until:
            raise CliError(f"{name}= has no time: write {name}=2027-03-31, or {name} alone.", 2)
    return [name for name, _, _ in parts], {name: until for name, _, until in parts if until}


def _what_next(out: Path, threshold: int) -> None:
    if threshold > 1:
        note(f"Let {threshold - 1} more of its stewards sign it: lezha community sign {out}")
    note(f"Then, at each member: lezha community accept {out}")


def _members(found: Any) -> str:
    return ", ".join(map(_member, found["members"]))


def _member(line: Any) -> str:
    state = {"waiting": " (waits for approval)", "ended": f" (ended {line['until']})"}.get(line["state"], "")
    return f"{line['name']}{state or _until(line['until'])}"


def _until(time: str) -> str:
    return f" (until {time})" if time else ""


def _faults(found: Any) -> list[str]:
    """Say what is wrong with a community, each in a sentence without its full stop."""
    faults = [] if found["accepted"] else [f"not accepted here: {found['id']}"]
    faults += [
        f"another roster {one['number']} came{' from ' + one['sender'] if one['sender'] else ''} and was refused: "
        f"call the stewards, {', '.join(found['stewards'])}"
        for one in found["conflicts"]
    ]
    if found["missed"]:
        missed = found["missed"]
        faults.append(
            f"a newer roster exists, number {missed['number']} by the word of {missed['member']}, and has not reached "
            "this node"
        )
    return [*faults, "expired: what is published to it is held back"] if found["expired"] else faults


def _show_changes(found: Any) -> None:
    """Say what a roster changes here."""
    for line in found["joins"]:
        say(f"joins: {line['name']}{_until(line['until'])}")
    for line in found["leaves"]:
        say(f"leaves: {line['name']}")
    for one in found["changes"]:
        say(f"stays: {one['name']}{_until(one['after']) or ' without an end'}")
    if found["expires"] != found["expires_before"]:
        before = f", before {found['expires_before']}" if found["expires_before"] else ""
        say(f"expires: {found['expires']}{before}")
    for warning in found["warnings"]:
        note(f"Mind: {warning}")


def _show_review(found: Any) -> None:
    held = (
        f"the latest held here is number {found['held']}" if found["held"] else "none was accepted here yet"
    )
    say(f"Roster {found['number']} of {found['name']} ({found['id']}); {held}.")
    _show_changes(found)
    if found["waiting"]:
        say(f"accepting it admits: {', '.join(found['waiting'])}")
    signed = ", ".join(found["signed_by"]) or "nobody"
    lacking = f"{found['lacking']} more must sign" if found["lacking"] else "that is enough"
    say(f"signed by: {signed} ({found['threshold']} of {len(found['stewards'])} must; {lacking})")


def _show_community(found: Any) -> None:
    say(f"{found['name']} ({found['id']}), roster {found['number']} of {found['issued']}")
    say(f"expires: {found['expires']}")
    say(f"stewards: {', '.join(found['stewards'])} ({found['threshold']} must sign)")
    for line in found["members"]:
        say(f"member: {_member(line)}, admitted by roster {line['admitted']}")
    for fault in _faults(found):
        note(f"Mind: {fault}.")


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            raw = opened.read(_MAX_ROSTER + 1)
    except OSError as error:
        raise CliError(f"{file} can't be read: {error.strerror}.") from error
    if len(raw) > _MAX_ROSTER:
        raise CliError(f"{file} is too large for a roster.")
    try:
        roster.peek(raw)
    except Refused as error:
        raise CliError(f"{file} is no roster as `lezha community create` writes it.") from error
    return raw
