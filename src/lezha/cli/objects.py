"""`lezha objects`: what this node holds."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from lezha.cli import api
from lezha.cli.api import Api
from lezha.cli.console import note, say, show_json, table
from lezha.cli.options import DEFAULT_HOME, Home, Json, TokenFile, Url
from lezha.detection.lookup import lookups
from lezha.node.clock import ago
from lezha.sharing.tlp import Tlp

_ROWS: Final = 50

app = typer.Typer(help="Find objects and see who was told of them.", no_args_is_help=True)


@app.command("search")
def search(
    value: Annotated[
        str,
        typer.Argument(
            help="An address, network, domain, URL, hash or e-mail address; also what contains it or lies within it."
        ),
    ] = "",
    text: Annotated[str, typer.Option(help='Words, or a "phrase"; the last word may be a beginning.')] = "",
    type: Annotated[str, typer.Option(help="A STIX type, e.g. indicator.")] = "",  # noqa: A002  # the option's name
    id: Annotated[str, typer.Option(help="A STIX id.")] = "",  # noqa: A002  # the option's name
    label: Annotated[str, typer.Option(help="A label of the object.")] = "",
    marking: Annotated[str, typer.Option(help="The id of a marking definition that the object names.")] = "",
    tlp: Annotated[Tlp | None, typer.Option(help="A TLP marking that the object itself carries.")] = None,
    creator: Annotated[str, typer.Option(help="Who made it: a peer, self, or an identity's id.")] = "",
    origin: Annotated[str, typer.Option(help="Who told of it: a peer, self, or an identity's id.")] = "",
    ref: Annotated[str, typer.Option(help="An id that the object names.")] = "",
    sighted: Annotated[
        bool | None, typer.Option("--sighted/--not-sighted", help="Whether it was seen.")
    ] = None,
    revoked: Annotated[bool | None, typer.Option("--revoked/--not-revoked", help="Revoked versions.")] = None,
    since: Annotated[
        str, typer.Option(help="Came here then or later: 2026-11-01T00:00:00Z, or 24h, 7d, 2w ago.")
    ] = "",
    until: Annotated[str, typer.Option(help="Came here before then; times as above.")] = "",
    modified_since: Annotated[str, typer.Option(help="Its version is of then or later.")] = "",
    modified_until: Annotated[str, typer.Option(help="Its version is of before then.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = _ROWS,
    before: Annotated[int, typer.Option(help="Go on after a page: the number it ended with.")] = 0,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Find objects, newest first; all conditions must hold.

    Example: lezha objects search 144.76.6.34

    Example: lezha objects search --text '"second wave" wiper' --type malware --since 2026-11-01T00:00:00Z

    Example: lezha objects search --type indicator --origin podgorica --not-sighted --not-revoked --json

    Example: lezha objects search --since 24h --label wiper
    """
    given: dict[str, object] = {
        "value": value, "text": text, "type": type, "id": id, "label": label, "marking": marking,
        "tlp": tlp.value if tlp else "", "creator": creator, "origin": origin, "ref": ref,
        "sighted": "" if sighted is None else str(sighted).lower(),
        "revoked": "" if revoked is None else str(revoked).lower(),
        "since": ago(since) or since, "until": ago(until) or until,
        "modified_since": ago(modified_since) or modified_since,
        "modified_until": ago(modified_until) or modified_until,
        "limit": limit, "before": before,
    }  # fmt: skip
    query = [(name, str(one)) for name, one in given.items() if one != ""]

    async def call(node: Api) -> Any:
        page = await node.get("/objects", query)
        return page, {} if json or not page["objects"] else await _names(node)

    page, names = api.run(home, url, token_file, call)
    if json:
        show_json(page)
        return
    early = len(page["objects"]) < limit
    _show_objects(page["objects"], names, _nothing(value, more=bool(page["next"])))
    if page["next"]:
        note("This page ended because its time was over; there may be more." if early else "There is more.")
        note(f"To go on: {_command(query, page['next'])}")


@app.command("about")
def about(
    value: Annotated[str, typer.Argument(help="An address, network, domain, URL, hash or e-mail address.")],
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Show everything about a value: under it, around it, who saw it, and what names any of that.

    Example: lezha objects about 144.76.6.34
    """

    async def call(node: Api) -> Any:
        found = await node.get("/about", {"value": value})
        return found, {} if json or not found["groups"] else await _names(node)

    found, names = api.run(home, url, token_file, call)
    if json:
        show_json(found)
        return
    if not found["kind"]:
        note(f"{value} is no address, network, domain, URL, hash or e-mail address.")
        return
    for group in found["groups"]:
        say(f"{group['what'].capitalize()}:")
        _show_objects(group["objects"], names, "")
        if group["more"]:
            note(group["more"])
    if not found["groups"]:
        note(f"Nothing is held here about {found['value']}.")


def _nothing(value: str, *, more: bool) -> str:
    """Say that a page has no objects, and of a value that is none how to look for it."""
    if more:
        return "Nothing was found so far."
    if value and not lookups(value):
        return f"{value} is no address, network, domain, URL, hash or e-mail address: --text looks for words."
    return "Nothing of the kind is held here."


async def _names(node: Api) -> dict[str, str]:
    """Return what this node calls its members, itself as `self`."""
    status = await node.get("/status")
    return {one["member"]: str(one["name"]) for one in status["peers"]} | {status["member"]: "self"}


def _command(query: Sequence[tuple[str, str]], before: int) -> str:
    """Return the command that shows the next page of a search."""
    given = dict(query) | {"before": str(before)}
    value = given.pop("value", "")
    words = ["lezha", "objects", "search"]
    for name, one in given.items():
        option = f"--{name.replace('_', '-')}"
        if name in ("sighted", "revoked"):
            words.append(option if one == "true" else f"--not-{name}")
        elif (name, one) != ("limit", str(_ROWS)):
            words += [option, one]
    if value:
        words += ["--", value] if value.startswith("-") else [value]
    return shlex.join(words)


def _state(one: Mapping[str, Any]) -> str:
    """Say what a version is among its versions, and of one that may not count why."""
    return str(one["barred"] or one["state"])


def _told_by(one: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Name who told of a version; what came without a statement nobody told of."""
    return ", ".join(sorted(names.get(origin, origin) for origin in one["origins"])) or "nobody"


def _show_objects(objects: Sequence[Mapping[str, Any]], names: Mapping[str, str], empty: str) -> None:
    columns = ["type", "name", "id", "version"]
    rows = [[*(str(one[column]) for column in columns), _told_by(one, names)] for one in objects]
    columns.append("told by")
    if any(one["state"] != "current" for one in objects):
        columns.append("state")
        rows = [[*row, _state(one)] for row, one in zip(rows, objects, strict=True)]
    table(columns, rows, empty)
    for one in objects:
        if one["unmatched"]:
            note(f"{one['id']} can't be matched live: {one['unmatched']}")


@app.command("show")
def show(
    id: Annotated[str, typer.Argument(help="A STIX id.")],  # noqa: A002  # the argument's name
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Show an object's versions, who said what of it, and who was told or not and why.

    Example: lezha objects show indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f
    """

    async def call(node: Api) -> Any:
        found = await node.get(f"/objects/{api.segment(id)}")
        return found, {} if json else await _names(node)

    found, names = api.run(home, url, token_file, call)
    if json:
        show_json(found)
        return
    for one in found:
        state = "" if one["found"]["state"] == "current" else f"  ({_state(one['found'])})"
        say(f"{one['found']['id']}  version {one['found']['version']}  {one['found']['name']}{state}")
        if one["purged"]:
            gone = one["purged"]
            say(f"Its bytes were purged on {gone['at']} by {gone['actor']}: {gone['why']}")
        if one["disputed"]:
            say(
                f"In dispute since {one['disputed']}: its creator signed two contents as this one version. "
                "Neither is passed on any more, no sensor looks for either."
            )
        for taken in one["recalls"]:
            why = f": {taken['why']}" if taken["why"] else ""
            say(f"Recalled by {names.get(taken['by'], taken['by'])}, known here since {taken['at']}{why}")
        rows = [(told["peer"], told["state"], told["why"]) for told in one["told"]]
        told = "Nobody was told." if one["statements"] else "No member has signed a statement about it."
        table(("peer", "state", "why"), rows, told)
