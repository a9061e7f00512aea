"""`lezha policy`: the member's national policy, which decides last what leaves."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lezha.cli.console import err, note, say, show_json, table
from lezha.cli.errors import CliError
from lezha.cli.options import DEFAULT_HOME, Home, Json

if TYPE_CHECKING:
    from lezha.flows.foresee import Effect, Foreseen, RuleEffect
    from lezha.node.settings import Settings
    from lezha.store.log import Reader

app = typer.Typer(
    help="National policy: what may leave this member, whatever authors allow.", no_args_is_help=True
)

_CHANGES: Final = {"told": "has it", "waiting": "waits for it", "released": "would get it"}


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="The policy, a Cedar file.", show_default=False)],
    limit: Annotated[int, typer.Option(min=0, max=1000, help="Examples of objects for each recipient.")] = 5,
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Say whether a policy can be used, and what it would change for whom, before it is switched on.

    It names peers, constituents and objects. It reads the node's database itself, whether the node runs or not, and
    changes nothing. What it finds is compared with the policy in force. Exits with 1 if the policy can't be used.

    To switch it on, put it into the node's folder, write policy = "policy.cedar" into lezha.toml, and start the node
    again. What recipients have already stays with them.

    Example: lezha policy check policy.cedar
    """
    from lezha.flows.foresee import foresee
    from lezha.node import national
    from lezha.node.clock import utc_now

    policy = national.read(file.expanduser())
    with _reading(home.expanduser()) as (settings, reader), _progress() as progress:
        found = foresee(reader, settings.member, policy, utc_now(), limit, progress)
    if json:
        show_json(found)
    else:
        _tell(found)


@app.command("show")
def show(home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Print the policy that the node decides by now, and since when; --json all that were in force.

    Example: lezha policy show
    """
    from lezha.store import policies

    with _reading(home.expanduser()) as (_, reader), reader.read() as conn:
        kept = policies.kept(conn)
    if json:
        show_json(kept)
        return
    if not kept or not kept[-1].hash:
        since = f" since {kept[-1].at}" if kept else ""
        note(f"No national policy is in force{since}: authors' statements decide alone.")
        return
    note(f"In force since {kept[-1].at}, SHA-256 {kept[-1].hash}:")
    say(kept[-1].text.rstrip("\n"))


@app.command("schema")
def schema(json: Json = False) -> None:
    """Print the Cedar schema that a policy has to conform to: who and what it may ask about.

    Example: lezha policy schema
    """
    from lezha.sharing import cedar

    if json:
        show_json({"schema": cedar.schema()})
    else:
        say(cedar.schema().rstrip("\n"))


@contextlib.contextmanager
def _reading(home: Path) -> "Iterator[tuple[Settings, Reader]]":
    """Open the database of the node in `home`. Raises CliError, NodeError, StoreError."""
    from lezha.node import database
    from lezha.node import settings as node_settings
    from lezha.store.log import Reader

    settings = node_settings.load(home)
    if not settings.database and not (home / node_settings.DATABASE).is_file():
        raise CliError(f"There is no database in {home}: is it the right folder?")
    url = node_settings.database(home, settings)
    with database.answering(url), contextlib.closing(Reader(url)) as reader:
        yield settings, reader


def _tell(found: "Foreseen") -> None:
    say(_in_short(found))
    if not found.permits:
        note("No rule of it permits anything: nothing would leave this member.")
    for one in found.names:
        if not one.name:
            note(
                f'Line {one.line} names {one.kind}::"{one.id}", which nobody here knows: it is about nobody.'
            )
    effects = _effects(found)
    table(
        ("recipient", "has", "waits for", "would get after all", "by which rules"),
        [_row(name, one) for name, one in effects],
        "This node has no peers and no constituents: it changes nothing.",
    )
    for name, effect in effects:
        for example in effect.examples:
            what = f"{example.id} {example.name}".rstrip()
            say(f"  {name} {_CHANGES[example.change]}: {what} ({example.rule})")
    idle = [_called(one) for one in found.rules if one.withholds == 0]
    if idle and found.sha256 != found.in_force:
        note(f"Withhold nothing that is here: {'; '.join(idle)}.")


def _effects(found: "Foreseen") -> "list[tuple[str, Effect]]":
    """Return what changes by recipient, a constituent named as such: a peer may have the same name."""
    served = [(f"{one.constituent} (constituent)", one) for one in found.constituents]
    return [*((one.peer, one) for one in found.peers), *served]


def _in_short(found: "Foreseen") -> str:
    looked = f"{found.statements:,} statement{'' if found.statements == 1 else 's'} looked at"
    if found.sha256 == found.in_force:
        return f"This very policy is in force. {looked}."
    beside = "the policy in force" if found.in_force else "no policy, as now"
    if not any(one.told or one.waiting or one.released for _, one in _effects(found)):
        return f"It can be used. Compared with {beside}, it changes nothing about what is here. {looked}."
    return (
        f"It can be used. Compared with {beside}, of what each recipient has or waits for it would withhold as much as "
        f"follows; what they have stays with them. {looked}."
    )


def _row(name: str, one: "Effect") -> tuple[str, ...]:
    rules = "; ".join(f"{rule}: {count:,}" for rule, count in sorted(one.rules.items()))
    return (name, f"{one.told:,}", f"{one.waiting:,}", f"{one.released:,}", rules)


def _called(one: "RuleEffect") -> str:
    return f"{one.name} (line {one.line})" if one.name else f"the rule in line {one.line}"


@contextlib.contextmanager
def _progress() -> "Iterator[Callable[[int, int], None]]":
    """Give what shows how many statements were looked at: in a terminal, on one line."""
    if not err.is_terminal:
        yield lambda _done, _all: None
        return
    try:
        yield lambda done, total: print(
            f"\r{done:,} of {total:,} statements ", end="", file=sys.stderr, flush=True
        )
    finally:
        print(file=sys.stderr)
