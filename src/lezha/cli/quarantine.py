"""`lezha quarantine`: what peers sent and was not taken."""

from typing import Annotated, Any, Final

import typer

from lezha.cli import api
from lezha.cli.api import Api
from lezha.cli.console import note, say, show_json, table
from lezha.cli.options import DEFAULT_HOME, Home, Json, TokenFile, Url

app = typer.Typer(
    help="Look at what peers sent and was put aside; take it after all, or let it go.", no_args_is_help=True
)
Item = Annotated[int, typer.Argument(min=1, help="Its number, as `lezha quarantine list` shows it.")]
Why = Annotated[str, typer.Option(help="Why: kept for ever, with your name.")]
_COLUMNS: Final = ("number", "at", "peer", "frame", "code", "objects", "can be accepted")
_SHOWN: Final = 2


@app.command("list")
def list_held(
    peer: Annotated[str, typer.Option(help="Only what this peer sent.")] = "",
    code: Annotated[str, typer.Option(help="Only what was refused for this, e.g. too_broad.")] = "",
    decided: Annotated[
        bool, typer.Option("--decided", help="Also what was accepted or rejected already.")
    ] = False,
    before: Annotated[int, typer.Option(min=0, help="Only what has a lower number: the next page.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """List what was put aside and waits, for its time or for somebody to decide, newest first, with what to do.

    Example: lezha quarantine list --peer podgorica --code too_broad
    """
    query = {
        "peer": peer,
        "code": code,
        "decided": str(decided).lower(),
        "before": str(before),
        "limit": str(limit),
    }

    async def call(node: Api) -> Any:
        return await node.get("/quarantine", query)

    found = api.run(home, url, token_file, call)
    if json:
        show_json(found)
        return
    table(_COLUMNS, [_row(one) for one in found["held"]], "Nothing waits in quarantine.")
    for reason, one in {one["code"]: one for one in found["held"]}.items():
        note(f"{reason}: {one['words']} {one['next']}")
    if found["next"]:
        note(f"There is more: --before {found['next']}")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    names = one["objects"]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (
        str(one["id"]),
        one["at"],
        one["peer"] or one["member"],
        str(one["number"]),
        one["code"],
        ", ".join(names[:_SHOWN]) + more,
        one["verdict"] or _standing(one),
    )


def _standing(one: dict[str, Any]) -> str:
    if one["until"]:
        return f"held until {one['until']}"
    return "yes" if one["overrulable"] else "no"


@app.command("show")
def show(
    item: Item, home: Home = DEFAULT_HOME, url: Url = "", token_file: TokenFile = None, json: Json = False
) -> None:
    """Show what was put aside, why, and what to do next. Nothing in it needs to be true.

    That you saw it is in the log.

    Example: lezha quarantine show 4711 --json
    """

    async def call(node: Api) -> Any:
        return await node.get(f"/quarantine/{item}")

    found = api.run(home, url, token_file, call)
    if json:
        show_json(found)
        return
    held = found["held"]
    say(
        f"{held['id']}: frame {held['number']} of {held['peer'] or held['member']}, put aside at {held['at']}"
    )
    say(f"{held['code']}: {held['words']}")
    say(found["detail"])
    if held["verdict"]:
        say(f"{held['verdict']} by {held['by']} at {held['decided']}: {held['why']}")
    elif held["until"]:
        say(f"held until {held['until']}: then this node takes it by itself, if it is in order")
    for text in (found["claim"], *found["contents"]):
        say(text)
    note(held["next"])


@app.command("accept")
def accept(
    item: Item,
    why: Why,
    overrule: Annotated[
        list[str],
        typer.Option(metavar="CODE", help="A further limit to set aside. May be given several times."),
    ] = [],  # noqa: B006  # typer copies it
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Take a frame now, as if it came again, although it is beyond a limit of this node.

    It is checked anew, all of it. What is wrong with a frame itself (a signature, whose object it is, its bytes) nobody
    can overrule.

    Example: lezha quarantine accept 4711 --why "the hosting provider is theirs; they asked for it by telephone"
    """
    _decide(item, "accept", {"why": why, "overrule": overrule}, api.At(home, url, token_file), json=json)


@app.command("reject")
def reject(
    item: Item,
    why: Why,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Let a frame go: its bytes are destroyed; its number, why it was refused and who rejected it stay.

    Example: lezha quarantine reject 4711 --why "our own resolver"
    """
    _decide(item, "reject", {"why": why}, api.At(home, url, token_file), json=json)


def _decide(item: int, verb: str, data: dict[str, Any], at: api.At, *, json: bool) -> None:
    async def call(node: Api) -> Any:
        return await node.post(f"/quarantine/{item}/{verb}", data)

    done = api.run(at.home, at.url, at.token_file, call)
    if json:
        show_json(done)
        return
    say(f"{done['id']} of {done['peer'] or done['member']} is {done['verdict']}.")
