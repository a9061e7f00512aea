"""`lezha isolate`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lezha.cli import api
from lezha.cli.api import Api
from lezha.cli.console import note, say, show_json
from lezha.cli.errors import CliError
from lezha.cli.options import DEFAULT_HOME, Home, Json, TokenFile, Url


def isolate(
    reason: Annotated[
        str, typer.Option(help="For the record, and for whoever comes on duty; peers are not told.")
    ] = "",
    end: Annotated[bool, typer.Option("--end", help="Let the node send again.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Say whether the node is isolated.")] = False,
    stopped: Annotated[
        bool, typer.Option("--stopped", help="The node is not running: it will start isolated.")
    ] = False,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Stop all that goes out, to peers and constituents, and go on receiving. Nothing is lost: it waits.

    What is on its way to a peer at that moment is cut off. Own systems go on as before.

    Example: lezha isolate --reason "the desk's laptop is missing"

    lezha isolate --end
    """
    if end and (reason or status or stopped):
        raise CliError("--end goes with no other of these options.", 2)
    if stopped:
        _show(_while_stopped(home.expanduser(), reason), json=json)
        return

    async def call(node: Api) -> Any:
        if status:
            return await node.get("/isolation")
        return await node.post("/isolation", {"why": reason, "end": end})

    _show(api.run(home, url, token_file, call), json=json)


def _while_stopped(home: Path, reason: str) -> dict[str, Any]:
    """Isolate a node that is not running, as one that was just restored from a backup. Raises CliError."""
    from lezha.cli.serve import alone
    from lezha.node import settings as node_settings
    from lezha.node.database import open_log
    from lezha.store import isolation

    with alone(home):
        log = open_log(home, node_settings.load(home))
        try:
            made = log.write_now(lambda tx: isolation.begin(tx, reason, "command line"))
        finally:
            log.close()
    return {"isolated": True, "at": made.at, "actor": made.actor, "why": made.why}


def _show(found: dict[str, Any], *, json: bool) -> None:
    if json:
        show_json(found)
    elif found["isolated"]:
        why = f": {found['why']}" if found["why"] else "."
        say(f"This node is isolated since {found['at']}, by {found['actor']}{why}")
        note("Nothing goes to peers or constituents; what they send is taken. `lezha isolate --end` ends it.")
    else:
        say("This node is not isolated: what may go out does.")
