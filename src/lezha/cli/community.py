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

app = typer.Typer(help="Found communities, sign and accept their rosters.", no_args_is_help=True)
RosterFile = Annotated[Path, typer.Argument(help="A roster, as `lezha community create` writes it.")]
_MAX_ROSTER = 1 << 20


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="The community's name, e.g. nato.")],
    out: Annotated[Path, typer.Option(help="A new file for the roster.")],
    member: Annotated[list[str], typer.Option(help="A peer, or self. May be given several times.")],
    steward: Annotated[list[str], typer.Option(help="Who may sign rosters: a peer, or self.")] = ["self"],  # noqa: B006  # typer copies it
    threshold: Annotated[int, typer.Option(min=1, help="How many stewards must sign.")] = 1,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Draft the first roster of a community and sign it. It is in force only where it is accepted.

    Example: lezha community create nato --member self --member podgorica --steward self --steward podgorica
    --threshold 2 --out nato.roster
    """
    writing.check_new(out, "a roster")
    wanted = {"name": name, "members": member, "stewards": steward, "threshold": threshold}

    async def call(node: Api) -> bytes:
        return await node.call("POST", "/communities", body=msgspec.json.encode(wanted))

    raw = api.run(home, url, token_file, call)
    writing.new(out, raw, "a roster")
    if json:
        show_json({"name": name, "file": str(out), "threshold": threshold})
        return
    say(f"The roster of {name} is in {out}.")
    if threshold > 1:
        note(f"Let {threshold - 1} more of its stewards sign it: lezha community sign {out}")
    note(f"Then, at each member: lezha community accept {out}")


@app.command("sign")
def sign(
    file: RosterFile,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Add this member's signature, as a steward, to a roster.

    Example: lezha community sign nato.roster
    """
    raw = _read(file)

    async def call(node: Api) -> bytes:
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
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Take a roster that enough stewards signed as true here, and admit its members.

    Example: lezha community accept nato.roster
    """
    raw = _read(file)

    async def call(node: Api) -> Any:
        return await node.post("/communities/accept", raw)

    found = api.run(home, url, token_file, call)
    if json:
        show_json(found)
        return
    say(f"{found['name']}, roster {found['number']}: {', '.join(found['members'])}")


@app.command("list")
def list_communities(
    home: Home = DEFAULT_HOME, url: Url = "", token_file: TokenFile = None, json: Json = False
) -> None:
    """Show the communities known here and their members.

    Example: lezha community list
    """

    async def call(node: Api) -> Any:
        return await node.get("/communities")

    found = api.run(home, url, token_file, call)
    if json:
        show_json(found)
        return
    rows = [(one["name"], str(one["number"]), one["expires"], ", ".join(one["members"])) for one in found]
    table(("community", "roster", "expires", "members"), rows, "There are no communities yet.")


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
