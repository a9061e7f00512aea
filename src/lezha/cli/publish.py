"""`lezha publish`."""

import sys
from collections.abc import Mapping, Sequence
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
_NAMED = 3


TlpOption = Annotated[Tlp, typer.Option(help="The TLP 2.0 label of the statement.")]
To = Annotated[list[str], typer.Option(help="A community, a peer, or everyone. May be given several times.")]
PapOption = Annotated[Pap, typer.Option(help="What recipients may do with it.")]
Onward = Annotated[bool, typer.Option(help="Let recipients pass it on where TLP allows.")]
FutureMembers = Annotated[
    bool | None,
    typer.Option(
        help="Give it to members who join later, too.", show_default="so for clear and green, else not"
    ),
]
Expires = Annotated[str, typer.Option(help="Not to be sent after this time, e.g. 2026-03-31T12:00:00Z.")]
StopOn = Annotated[
    list[str],
    typer.Option(help="Publish nothing if there is this warning, by its code; any for each of them."),
]
Query = list[tuple[str, str]]


def publish(
    file: Annotated[Path, typer.Argument(help="A STIX 2.1 bundle; - for standard input.")],
    tlp: TlpOption,
    to: To,
    pap: PapOption = Pap.GREEN,
    onward: Onward = False,
    future_members: FutureMembers = None,
    expires: Expires = "",
    strict: Annotated[bool, typer.Option(help="Take all objects or none.")] = False,
    stop_on: StopOn = [],  # noqa: B006  # typer copies it
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say who would get it and who not; write nothing.")
    ] = False,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Publish a bundle: sign it and give it to whom the terms allow. Warnings come before anything is signed.

    Example: lezha publish wiper.json --tlp amber --to nato --dry-run

    Example: lezha publish wiper.json --tlp amber --to nato --future-members

    Example: lezha publish wiper.json --tlp amber --to nato --stop-on own_identity --stop-on red_to_many
    """
    query = terms(tlp, to, pap, onward, future_members, expires)
    query += [("strict", "true")] if strict else []
    query += [("stop_on", code) for code in stop_on]
    done = asked(home, url, token_file, file, query, json, dry_run=dry_run)
    if json:
        show_json(done | {"dry_run": dry_run})
        return
    show_outcome(done, dry_run=dry_run)
    show_outlook(done["outlook"])


def show_outlook(outlook: Sequence[Mapping[str, Any]]) -> None:
    """Show what each peer and each constituent gets and what not."""
    table(
        ("recipient", "gets", "withheld, and why"),
        [_outlook(one) for one in outlook],
        "There are no peers and no constituents yet.",
    )


def recipient(one: Mapping[str, Any]) -> str:
    """Return what a recipient of an outlook is called, a constituent named as such."""
    return f"{one['peer']} (constituent)" if one["standing"] == "constituent" else str(one["peer"])


def terms(
    tlp: Tlp, to: Sequence[str], pap: Pap, onward: bool, future_members: bool | None, expires: str
) -> Query:
    """Return terms as the API takes them."""
    query = [("tlp", tlp.value), ("pap", pap.value), *(("to", name) for name in to)]
    query += [("onward", "true")] if onward else []
    query += [("future_members", str(future_members).lower())] if future_members is not None else []
    return query + ([("expires", expires)] if expires else [])


def asked(
    home: Path,
    url: str,
    token_file: Path | None,
    file: Path,
    query: Query,
    json: bool,
    *,
    dry_run: bool = True,
) -> dict[str, Any]:
    """Publish a file, or with `dry_run` ask who would get it; what is warned of is shown before anything is signed.

    What was rejected is shown if nothing was taken. Raises CliError.
    """
    raw = _read(file)

    async def call(node: Api) -> Any:
        if json or dry_run:
            return await node.post("/publish", raw, [*query, ("dry_run", str(dry_run).lower())])
        show_warnings((await node.post("/publish", raw, [*query, ("dry_run", "true")]))["warnings"])
        return await node.post("/publish", raw, query) | {"warnings": []}

    try:
        done: dict[str, Any] = api.run(home, url, token_file, call)
    except Refusal as refusal:
        rejected, warnings = (refusal.body.get(name, []) for name in ("rejected", "warnings"))
        if json:
            show_json({"taken": [], "rejected": rejected, "warnings": warnings, "dry_run": dry_run})
        else:
            show_rejected(rejected)
            show_warnings(warnings)
        if "rejected" in refusal.body and not rejected:  # it is the whole file that can't be taken
            raise CliError(f"{_name(file)}: {refusal}") from refusal
        raise
    return done


def show_outcome(done: Mapping[str, Any], *, dry_run: bool) -> None:
    """Show what was taken and what not, and what there is to think about."""
    show_rejected(done["rejected"])
    show_warnings(done["warnings"])
    verb = "would be published" if dry_run else "published"
    taken = len(done["taken"])
    say(f"{taken} object{'' if taken == 1 else 's'} {verb}, {len(done['rejected'])} rejected.")


def show_warnings(warnings: Sequence[Mapping[str, Any]]) -> None:
    """Show what there is to think about, each with the first things it is about."""
    for one in warnings:
        shown = [*one["about"][:_NAMED], *(["…"] if one["count"] > _NAMED else [])]
        note(f"warning: {one['words']} [{one['code']}: {', '.join(shown)}]")


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


def show_rejected(rejected: Sequence[Mapping[str, str]]) -> None:
    """Show what was not taken, and why."""
    for one in rejected[:_SHOWN]:
        note(f"rejected: {one['id'] or '(no id)'}: {one['reason']} [{one['clause']}]")
    if len(rejected) > _SHOWN:
        note(f"… and {len(rejected) - _SHOWN} more; --json shows all.")


def _outlook(one: Mapping[str, Any]) -> tuple[str, str, str]:
    why = [f"{count}: {one['words'][reason]}" for reason, count in one["withheld"].items()]
    rules = f" ({'; '.join(one['rules'])})" if one["rules"] else ""
    return recipient(one), f"{one['gets']}{rules}", "; ".join(why) or "nothing"
