"""`lezha publish`."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lezha.cli import api
from lezha.cli.api import Api, Refusal
from lezha.cli.console import note, say, show_json, table
from lezha.cli.errors import CliError
from lezha.cli.options import DEFAULT_HOME, Home, Json, TokenFile, Url
from lezha.sharing.tlp import Pap, Tlp

STDIN = Path("-")
_MAX_FILE = 64 << 20
_SHOWN = 20


def publish(
    file: Annotated[Path, typer.Argument(help="A STIX 2.1 bundle; - for standard input.")],
    tlp: Annotated[Tlp, typer.Option(help="The TLP 2.0 label of the statement.")],
    to: Annotated[
        list[str], typer.Option(help="A community, a peer, or everyone. May be given several times.")
    ],
    pap: Annotated[Pap, typer.Option(help="What recipients may do with it.")] = Pap.GREEN,
    onward: Annotated[bool, typer.Option(help="Let recipients pass it on where TLP allows.")] = False,
    expires: Annotated[
        str, typer.Option(help="Not to be sent after this time, e.g. 2026-03-31T12:00:00Z.")
    ] = "",
    strict: Annotated[bool, typer.Option(help="Take all objects or none.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say who would get it and who not; write nothing.")
    ] = False,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Publish a bundle: sign it and give it to whom the terms allow.

    Example: lezha publish wiper.json --tlp amber --to nato --dry-run
    """
    raw = _read(file)
    query = [("tlp", tlp.value), ("pap", pap.value), *(("to", name) for name in to)]
    flags = {"onward": onward, "strict": strict, "dry_run": dry_run}
    query += [(name, "true") for name, on in flags.items() if on]
    if expires:
        query.append(("expires", expires))

    async def call(node: Api) -> Any:
        return await node.post("/publish", raw, query)

    try:
        done = api.run(home, url, token_file, call)
    except Refusal as refusal:
        rejected = refusal.body.get("rejected", [])
        if json:
            show_json({"taken": [], "rejected": rejected, "dry_run": dry_run})
        else:
            _show_rejected(rejected)
        if "rejected" in refusal.body and not rejected:  # it is the whole file that can't be taken
            raise CliError(f"{_name(file)}: {refusal}") from refusal
        raise
    if json:
        show_json(done | {"dry_run": dry_run})
        return
    _show_rejected(done["rejected"])
    for warning in done["warnings"]:
        note(f"warning: {warning}")
    verb = "would be published" if dry_run else "published"
    taken = len(done["taken"])
    say(f"{taken} object{'' if taken == 1 else 's'} {verb}, {len(done['rejected'])} rejected.")
    table(
        ("peer", "gets", "withheld, and why"),
        [_outlook(one) for one in done["outlook"]],
        "There are no peers yet.",
    )


def _name(file: Path) -> str:
    return "standard input" if file == STDIN else str(file)


def _read(file: Path) -> bytes:
    try:
        with sys.stdin.buffer if file == STDIN else file.open("rb") as opened:
            raw = opened.read(_MAX_FILE + 1)  # a device or a pipe tells no size beforehand
    except OSError as error:
        raise CliError(f"{_name(file)} can't be read: {error.strerror}.") from error
    if len(raw) > _MAX_FILE:
        raise CliError(
            f"{_name(file)} has more than the {_MAX_FILE:,} bytes that are taken at once: publish it in parts."
        )
    return raw


def _show_rejected(rejected: list[dict[str, str]]) -> None:
    for one in rejected[:_SHOWN]:
        note(f"rejected: {one['id'] or '(no id)'}: {one['reason']} [{one['clause']}]")
    if len(rejected) > _SHOWN:
        note(f"… and {len(rejected) - _SHOWN} more; --json shows all.")


def _outlook(one: dict[str, Any]) -> tuple[str, str, str]:
    why = [f"{count}: {one['words'][reason]}" for reason, count in one["withheld"].items()]
    rules = f" ({'; '.join(one['rules'])})" if one["rules"] else ""
    return one["peer"], f"{one['gets']}{rules}", "; ".join(why) or "nothing"
