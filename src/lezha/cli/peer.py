"""`lezha peer`: link this node to others."""

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from lezha.cli import api
from lezha.cli.api import Api
from lezha.cli.console import note, say, show_json, table
from lezha.cli.errors import CliError
from lezha.cli.options import DEFAULT_HOME, Home, Json, TokenFile, Url
from lezha.node.clock import lasting
from lezha.sharing.tlp import Tlp
from lezha.sharing.trust import Trust

app = typer.Typer(help="Link this node to those of allies, and see how the links are.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="What the peer is called here.")]
_COLUMNS = (
    "peer",
    "state",
    "trust",
    "link",
    "delivered",
    "queued",
    "withheld",
    "refused",
    "lag",
    "last contact",
    "last receipt",
    "p50/p99 ms",
)


@app.command("invite")
def invite(
    name: Annotated[str, typer.Argument(help="What to call the peer here.")],
    again: Annotated[
        bool, typer.Option("--again", help="It is a peer already, and one of you has lost its root key.")
    ] = False,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Make an invitation for one ally's node: single use, good for 24 hours.

    Send it by a channel that you trust with it, e.g. encrypted mail. Example: lezha peer invite podgorica
    """

    async def call(node: Api) -> Any:
        return await node.post("/peers/invite", {"name": name, "again": again})

    made = api.run(home, url, token_file, call)
    if json:
        show_json(made)
        return
    say(made["invitation"])
    note(f"There: lezha peer accept INVITATION. Then here: lezha peer confirm {name}")


@app.command("accept")
def accept(
    invitation: Annotated[str, typer.Argument(help="The invitation, or - to read it from standard input.")],
    name: Annotated[
        str, typer.Option(help="What to call the inviter here; by default as it calls itself.")
    ] = "",
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Take up an ally's invitation, then compare the phrase with the inviting officer by telephone.

    Example: lezha peer accept - < podgorica.invitation
    """
    text = sys.stdin.read() if invitation == "-" else invitation

    async def call(node: Api) -> Any:
        return await node.post("/peers/accept", {"invitation": text, "name": name})

    found = api.run(home, url, token_file, call)
    if json:
        show_json(found)
        return
    say(f"{found['title']} is now a pending peer, {found['name']}.")
    say(f"Its officer must read the same phrase: {found['phrase']}")
    note(f"If it is the same: lezha peer confirm {found['name']}. If not: somebody stands in between.")


@app.command("confirm")
def confirm(
    name: Name,
    phrase: Annotated[
        str,
        typer.Option(help="The phrase that the peer's officer has read aloud; asked for if it is missing."),
    ] = "",
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Make a pending peer active, after both officers have read one another the phrase.

    Example: lezha peer confirm podgorica --phrase "48213 90174 55310"
    """

    async def ask(node: Api) -> Any:
        return await node.get(f"/peers/{api.segment(name)}/phrase")

    async def call(node: Api) -> Any:
        return await node.post("/peers/confirm", {"name": name, "phrase": phrase})

    if not phrase:
        if not sys.stdin.isatty():
            raise CliError("Give the phrase that the peer's officer has read aloud: --phrase.", 2)
        pending = api.run(home, url, token_file, ask)
        note(f"The phrase here is: {pending['phrase']}")
        phrase = typer.prompt("Type the phrase that the officer reads to you", err=True)
    done = api.run(home, url, token_file, call)
    if json:
        show_json(done)
        return
    say(f"{done['name']} is active.")


@app.command("suspend")
def suspend(
    name: Name, home: Home = DEFAULT_HOME, url: Url = "", token_file: TokenFile = None, json: Json = False
) -> None:
    """Send a peer nothing more and take nothing from it, from now on, except for recalls.

    Example: lezha peer suspend podgorica
    """
    _change("suspend", name, api.At(home, url, token_file), json=json)


@app.command("resume")
def resume(
    name: Name, home: Home = DEFAULT_HOME, url: Url = "", token_file: TokenFile = None, json: Json = False
) -> None:
    """Let the link to a suspended peer run again.

    Example: lezha peer resume podgorica
    """
    _change("resume", name, api.At(home, url, token_file), json=json)


@app.command("clear")
def clear(
    name: Name,
    clearance: Annotated[Tlp, typer.Argument(help="clear, green, amber, amber+strict or red.")],
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Change up to which TLP a peer receives, from the next sending on. What it has stays with it.

    Example: lezha peer clear podgorica red
    """
    _change(
        "clear",
        name,
        api.At(home, url, token_file),
        {"clearance": clearance.value},
        json=json,
        words=lambda done: f"receives up to TLP:{done['clearance'].upper()}",
    )


@app.command("trust")
def trust(
    name: Name,
    level: Annotated[Trust, typer.Argument(help="watch, propose or block.")],
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Say what a peer's indicators are used for at most.

    watch, as every peer begins: sensors look for them. propose: a block may be proposed to a person. block: it may be
    made without asking. Sensors are told at once; nothing in this version makes blocks yet.

    Example: lezha peer trust podgorica propose
    """
    _change(
        "trust",
        name,
        api.At(home, url, token_file),
        {"trust": level.value},
        json=json,
        words=lambda done: f"is trusted to {done['trust']}",
    )


@app.command("limit")
def limit(
    name: Name,
    hourly: Annotated[str, typer.Argument(help="How many objects an hour, or default.")],
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Say how many objects are taken from a peer in an hour. What is more waits at the peer; nothing is lost.

    The default is peer_hourly in lezha.toml.

    Example: lezha peer limit podgorica 1000000
    """
    plain = hourly.replace(",", "").replace("_", "")
    if hourly != "default" and not (plain.isascii() and plain.isdigit()):
        raise CliError(f"{hourly!r} is no number of objects: write one, or default.", 2)

    wanted = None if hourly == "default" else int(plain)
    _change("limit", name, api.At(home, url, token_file), {"hourly": wanted}, json=json, words=_limited)


def _limited(done: Any) -> str:
    many = f"{done['hourly']:,} objects" if done["hourly"] else "as many objects as the settings say"
    return f"may bring {many} in an hour"


@app.command("remove")
def remove(
    name: Name, home: Home = DEFAULT_HOME, url: Url = "", token_file: TokenFile = None, json: Json = False
) -> None:
    """Forget a peer that was never confirmed, so that it can be invited again.

    Example: lezha peer remove podgorica
    """
    _change("remove", name, api.At(home, url, token_file), json=json)


def _change(
    verb: str,
    name: str,
    at: api.At,
    body: dict[str, Any] | None = None,
    *,
    json: bool,
    words: Callable[[Any], str] = lambda done: f"is {done['state']}",
) -> None:
    """Change something of a peer and say what is so now; `words` tell it of the node's answer."""

    async def call(node: Api) -> Any:
        return await node.post(f"/peers/{api.segment(name)}/{verb}", body or {})

    done = api.run(at.home, at.url, at.token_file, call)
    if json:
        show_json(done)
        return
    say(f"{done['name']} {words(done)}.")


@app.command("phrase")
def phrase(
    name: Name, home: Home = DEFAULT_HOME, url: Url = "", token_file: TokenFile = None, json: Json = False
) -> None:
    """Show the phrase of a pending peer, to read it to the peer's officer.

    Example: lezha peer phrase podgorica
    """

    async def call(node: Api) -> Any:
        return await node.get(f"/peers/{api.segment(name)}/phrase")

    found = api.run(home, url, token_file, call)
    if json:
        show_json(found)
        return
    say(found["phrase"])


@app.command("list")
def list_peers(
    home: Home = DEFAULT_HOME, url: Url = "", token_file: TokenFile = None, json: Json = False
) -> None:
    """Show each peer: is its link up, what waits and for how long, what was withheld or refused, when it was last heard
    of and last signed a receipt. A peer that is silent for longer than is usual for it is named below the table.

    Example: lezha peer list
    """

    async def call(node: Api) -> Any:
        return await node.get("/peers")

    found = api.run(home, url, token_file, call)
    if json:
        show_json(found)
        return
    table(_COLUMNS, [_row(one) for one in found], "There are no peers yet: lezha peer invite NAME")
    if any(one["phase"] == "elsewhere" for one in found):
        note(
            "How the links are is known to the process that runs them, `lezha serve`; this one serves people only."
        )
    for one in found:
        if one["silent_s"]:
            note(_silent(one))
        if one["undecided"]:
            note(
                f"{one['name']}: {one['undecided']} wait in quarantine: lezha quarantine list --peer {one['name']}"
            )
        if one["fault"]:
            note(f"{one['name']}: {one['fault']}")
        if one["recall_since"]:
            note(f"{one['name']} has not signed for a recall yet that was made on {one['recall_since']}.")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    latency = one["latency_ms"]
    return (
        one["name"],
        one["state"],
        one["trust"],
        one["phase"],
        str(one["delivered"]),
        f"{one['queued']} + {one['to_decide']}" if one["to_decide"] else str(one["queued"]),
        _counts(one["withheld"]),
        _counts(one["refused"]),
        lasting(one["lag_s"]) if one["queued"] else "0 s",
        one["last_contact"] or "never",
        one["last_receipt"] or "never",
        f"{latency['p50']}/{latency['p99']}" if latency else "",
    )


def _silent(one: dict[str, Any]) -> str:
    usual = f"it is usually heard of every {lasting(one['usual_s'])}"
    last = f"last at {one['last_contact']}" if one["last_contact"] else "not once"
    return f"{one['name']} has been silent for {lasting(one['silent_s'])}, {last}; {usual}."


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "0"
