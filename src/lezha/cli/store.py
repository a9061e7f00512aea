"""`lezha store`: what is done with the log itself."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lezha.cli import api
from lezha.cli.api import Api
from lezha.cli.console import note, say, show_json, table
from lezha.cli.errors import CliError
from lezha.cli.options import DEFAULT_HOME, Home, Json, TokenFile, Url
from lezha.cli.progress import told_in_terminal

if TYPE_CHECKING:
    from lezha.flows.findings import Finding

app = typer.Typer(help="Check the log, and destroy what must not be in it.", no_args_is_help=True)

_SHOWN = 100


@app.command("check")
def check(home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Look whether the log is what it should be: hashes, order, chains, and all that is derived.

    Reads the node's database itself, whether the node runs or not, and changes nothing. Exits with 1 if anything is
    wrong.

    Example: lezha store check --home /var/lib/lezha
    """
    from lezha.flows.check import is_damaged

    # In a thread of its own: Ctrl-C would wait for one that is within the database.
    with ThreadPoolExecutor(1) as thread:
        counts, findings = thread.submit(_look, home.expanduser()).result()
    if json:
        show_json({"sound": not findings, "counts": counts, "findings": findings})
    else:
        table(
            ("part", "of", "what is wrong"),
            [(one.part, one.subject, one.words) for one in findings[:_SHOWN]],
            "Nothing is wrong.",
        )
        if len(findings) > _SHOWN:
            note(f"… and {len(findings) - _SHOWN} more; --json shows all.")
        if counts:
            say(", ".join(f"{count:,} {name}" for name, count in counts.items()) + " looked at.")
        if is_damaged(findings):
            note("The database is damaged: stop the node, put the file aside, and restore the last backup.")
    if findings:
        raise typer.Exit(1)


def _look(home: Path) -> "tuple[dict[str, int], list[Finding]]":
    """Return how much there is, as far as it can be counted, and what is wrong. Raises NodeError, StoreError."""
    from lezha.flows import check as flow
    from lezha.node import database
    from lezha.store.log import Reader

    url = database_of(home)
    with database.answering(url):
        try:
            reader = Reader(url)
        except flow.RAISED as error:
            return {}, [flow.damage(error)]
        with contextlib.closing(reader):
            return flow.counts(reader), list(flow.check(reader, told_in_terminal()))


def database_of(home: Path) -> str:
    """Return the URL of the database of the node in `home`. Raises CliError, NodeError if there is none."""
    from lezha.node import settings as node_settings

    settings = node_settings.load(home)
    file = home / node_settings.DATABASE
    if not settings.database and not (file.is_file() and file.stat().st_size):
        raise CliError(f"There is no database in {home}: is it the right folder?")
    return node_settings.database(home, settings)


@app.command("purge")
def purge(
    ids: Annotated[list[str], typer.Argument(help="STIX ids; all versions of each are purged.")],
    why: Annotated[str, typer.Option(help="The reason. It is kept for ever; the objects are not.")],
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Destroy the bytes of objects for good, with their names, values and words.

    The hash, the statements and the record of who was told stay. What peers sent of them and was refused goes too. It
    does not call anything back from peers that have it, and earlier backups still hold it.

    Example: lezha store purge observed-data--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f --why "names a citizen"
    """

    async def call(node: Api) -> Any:
        return await node.post("/store/purge", {"ids": ids, "why": why})

    done = api.run(home, url, token_file, call)
    if json:
        show_json(done)
        return
    if unknown := [one for one in ids if one not in done["ids"]]:
        note(f"Nothing is held here of {', '.join(unknown)}.")
    if not done["versions"] and not done["put_aside"]:
        say("It had been purged before; nothing of it is left in the database's files now.")
        return
    say(_purged(done))
    note("Earlier backups still hold it, and so may peers that were told.")


def _purged(done: dict[str, Any]) -> str:
    versions, aside = done["versions"], done["put_aside"]
    said = [f"{versions} version{'' if versions == 1 else 's'} of {len(done['ids'])}"] if versions else []
    said += [f"what had been put aside of {aside}"] if aside else []
    return f"{' and '.join(said)} purged for good.".capitalize()


@app.command("retention")
def retention(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is due; purge nothing.")] = False,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Purge now what the rules of retention in lezha.toml say; the node does so by itself every day.

    Example: lezha store retention --dry-run
    """

    async def call(node: Api) -> Any:
        if dry_run:
            return await node.get("/store/retention")
        return await node.post("/store/retention", {})

    found = api.run(home, url, token_file, call)
    if json:
        show_json(found | {"dry_run": dry_run})
        return
    rows = [(one["type"], str(one["days"]), f"{one['count']:,}") for one in found["rules"]]
    table(
        ("type", "days", "due" if dry_run else "purged"),
        rows,
        "There are no rules of retention in lezha.toml.",
    )
