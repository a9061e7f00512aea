"""`lezha constituent`: whom this member serves, and what they may receive."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lezha.cli import api, secret_file
from lezha.cli.api import Api
from lezha.cli.console import note, say, show_json, table
from lezha.cli.options import DEFAULT_HOME, Home, Json, TokenFile, Url
from lezha.sharing.tlp import Tlp

app = typer.Typer(
    help="Let ministries, banks and operators receive what they may have; they send nothing.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(help="What the constituent is called here.")]
Out = Annotated[Path | None, typer.Option(help="Write its token to this file, readable by its owner only.")]
Level = Annotated[Tlp, typer.Option(help="Up to which TLP it receives: clear, green or amber.")]


@app.command("admit")
def admit(
    name: Name,
    title: Annotated[str, typer.Option(help="Its full name.")] = "",
    clearance: Level = Tlp.AMBER,
    out: Out = None,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Admit a constituent and make its token. AMBER+STRICT and RED never go to one.

    Example: lezha constituent admit ministry --title "Ministry of Finance" --out ministry.token
    """
    secret_file.check(out)

    async def call(node: Api) -> Any:
        return await node.post("/constituents", {"name": name, "title": title, "clearance": clearance.value})

    made = api.run(home, url, token_file, call)
    _show_token(made, out, json)
    note("It asks for what it may have: GET /api/v1/view?after=0, with this token.")


@app.command("renew")
def renew(
    name: Name,
    out: Out = None,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Make a new token for a constituent; the one before ends at once. What it has received stays counted.

    Example: lezha constituent renew ministry --out ministry.token
    """
    secret_file.check(out)

    async def call(node: Api) -> Any:
        return await node.post(f"/constituents/{api.segment(name)}/renew")

    _show_token(api.run(home, url, token_file, call), out, json)


@app.command("list")
def list_constituents(
    home: Home = DEFAULT_HOME, url: Url = "", token_file: TokenFile = None, json: Json = False
) -> None:
    """Show the constituents, and up to which TLP each receives.

    Example: lezha constituent list
    """

    async def call(node: Api) -> Any:
        return await node.get("/constituents")

    found = api.run(home, url, token_file, call)
    if json:
        show_json(found)
        return
    rows = [(one["name"], one["title"], one["clearance"], one["state"], one["since"]) for one in found]
    table(("name", "title", "up to TLP", "state", "since"), rows, "There are no constituents.")


@app.command("clear")
def clear(
    name: Name,
    clearance: Annotated[Tlp, typer.Argument(help="clear, green or amber.")],
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Change up to which TLP a constituent receives, from now on.

    Example: lezha constituent clear bank green
    """

    async def call(node: Api) -> Any:
        return await node.post(f"/constituents/{api.segment(name)}/clear", {"clearance": clearance.value})

    _show(api.run(home, url, token_file, call), json)


@app.command("suspend")
def suspend(
    name: Name, home: Home = DEFAULT_HOME, url: Url = "", token_file: TokenFile = None, json: Json = False
) -> None:
    """Hand nothing more out to a constituent.

    Example: lezha constituent suspend bank
    """

    async def call(node: Api) -> Any:
        return await node.post(f"/constituents/{api.segment(name)}/suspend")

    _show(api.run(home, url, token_file, call), json)


@app.command("resume")
def resume(
    name: Name, home: Home = DEFAULT_HOME, url: Url = "", token_file: TokenFile = None, json: Json = False
) -> None:
    """Hand out to a suspended constituent again.

    Example: lezha constituent resume bank
    """

    async def call(node: Api) -> Any:
        return await node.post(f"/constituents/{api.segment(name)}/resume")

    _show(api.run(home, url, token_file, call), json)


def _show(found: Any, json: bool) -> None:
    if json:
        show_json(found)
        return
    say(f"{found['name']} is {found['state']}, and receives up to TLP:{found['clearance'].upper()}.")


def _show_token(made: dict[str, Any], out: Path | None, json: bool) -> None:
    shown = secret_file.keep(made, out)
    if json:
        show_json(shown)
        return
    say(shown.get("token") or f"The token is in {out}.")
