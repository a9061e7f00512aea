"""`lezha recall`."""

from typing import Annotated, Any

import typer

from lezha.cli import api
from lezha.cli.api import Api
from lezha.cli.console import note, say, show_json, table
from lezha.cli.options import DEFAULT_HOME, Home, Json, TokenFile, Url

_SHOWN = 50


def recall(
    id: Annotated[str, typer.Argument(help="A STIX id.")],  # noqa: A002  # the argument's name
    why: Annotated[str, typer.Option(help="Short, and read by all who were told of the object.")] = "",
    version: Annotated[
        str, typer.Option(help="One version only, as `lezha objects show` writes it; all if left out.")
    ] = "",
    keep_derived: Annotated[
        bool, typer.Option("--keep-derived", help="Leave what of one's own names the object.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be recalled and who would hear; write nothing.")
    ] = False,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Take back an object that this member published, and what of its own would go on telling of it.

    Everyone who was ever offered it is told, suspended peers too; allies stop looking for it and pass it on no more.
    Nobody can be made to forget it.

    Example: lezha recall indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f --why "a busy resolver" --dry-run
    """
    asked = {"id": id, "version": version, "why": why, "keep_derived": keep_derived, "dry_run": dry_run}

    async def call(node: Api) -> Any:
        return await node.post("/recall", asked)

    done = api.run(home, url, token_file, call)
    if json:
        show_json(done | {"dry_run": dry_run})
        return
    if not done["recalled"]:
        say("It had been recalled before: `lezha objects show` tells who has signed for that.")
        return
    _show_items(done["recalled"], "would be recalled" if dry_run else "recalled")
    if done["stands"]:
        note(f"What stands of it: version {', '.join(done['stands'])}.")
    rows = [(one["peer"], *map(str, _heard(one))) for one in done["peers"]]
    table(
        ("peer", "has it: will be told", "was offered it: will be told", "was not offered it"),
        rows,
        "There are no peers.",
    )
    say("What can't be called back:")
    for one in done["uncalled"]:
        say(f"- {one['words']}")


def _show_items(items: list[dict[str, str]], verb: str) -> None:
    for one in items[:_SHOWN]:
        because = f"  (it tells of {one['because']})" if one["because"] else ""
        say(f"{one['id']}  version {one['version']}  {one['name']}{because}")
    if len(items) > _SHOWN:
        note(f"… and {len(items) - _SHOWN} more; --json shows all.")
    say(f"{len(items)} statement{'' if len(items) == 1 else 's'} {verb}.")


def _heard(one: dict[str, int]) -> tuple[int, int, int]:
    return one["held"], one["offered"], one["never"]
