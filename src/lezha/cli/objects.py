"""`lezha objects`: what this node holds."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from lezha.cli import api
from lezha.cli.api import Api
from lezha.cli.console import note, say, show_json, table
from lezha.cli.options import DEFAULT_HOME, Home, Json, TokenFile, Url

app = typer.Typer(help="Find objects and see who was told of them.", no_args_is_help=True)


@app.command("search")
def search(
    value: Annotated[
        str,
        typer.Argument(help="An address, domain, URL, hash or e-mail address; also finds what contains it."),
    ] = "",
    text: Annotated[str, typer.Option(help="Part of a name or id.")] = "",
    type: Annotated[str, typer.Option(help="A STIX type, e.g. indicator.")] = "",  # noqa: A002  # the option's name
    id: Annotated[str, typer.Option(help="A STIX id.")] = "",  # noqa: A002  # the option's name
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    before: Annotated[int, typer.Option(help="Go on after a page: the number it ended with.")] = 0,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Find objects, newest first.

    Example: lezha objects search 144.76.6.34
    """
    query = {"value": value, "text": text, "type": type, "id": id, "limit": str(limit), "before": str(before)}

    async def call(node: Api) -> Any:
        return await node.get("/objects", query)

    page = api.run(home, url, token_file, call)
    if json:
        show_json(page)
        return
    rows = [(one["type"], one["name"], one["id"], one["version"]) for one in page["objects"]]
    table(("type", "name", "id", "version"), rows, "Nothing of the kind is held here.")
    for one in page["objects"]:
        if one["unmatched"]:
            note(f"{one['id']} can't be matched live: {one['unmatched']}")
    if page["next"]:
        note(f"There is more: --before {page['next']}")


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
        return await node.get(f"/objects/{quote(id, safe='')}")

    found = api.run(home, url, token_file, call)
    if json:
        show_json(found)
        return
    for one in found:
        say(f"{one['found']['id']}  version {one['found']['version']}  {one['found']['name']}")
        rows = [(told["peer"], told["state"], told["why"]) for told in one["told"]]
        table(("peer", "state", "why"), rows, "Nobody was told.")
