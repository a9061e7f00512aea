"""`lezha token`: who else may talk to this node."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lezha.access.rights import Role
from lezha.cli import api, secret_file
from lezha.cli.api import Api
from lezha.cli.console import say, show_json, table
from lezha.cli.errors import CliError
from lezha.cli.options import DEFAULT_HOME, Home, Json, TokenFile, Url
from lezha.sharing.tlp import Tlp

app = typer.Typer(help="Make and revoke the tokens of people, tools and sensors.", no_args_is_help=True)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose it is, e.g. sensor-1.")],
    role: Annotated[Role, typer.Option(help="What it may do.")],
    clearance: Annotated[
        Tlp | None, typer.Option(help="Up to which TLP an own system (role system) may have objects.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write it to this file, readable by its owner only.")
    ] = None,
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Make a token. It is shown once, or written to --out; the node keeps only a hash of it.

    An own system is a tool of yours that reads collections by TAXII, and posts to its inbox.

    Example: lezha token create sensor-1 --role sensor --out sensor.token
    Example: lezha token create opencti --role system --clearance amber --out opencti.token
    """

    async def call(node: Api) -> Any:
        cleared = {} if clearance is None else {"clearance": clearance.value}
        return await node.post("/tokens", {"name": name, "role": role.value, **cleared})

    secret_file.check(out)
    made = secret_file.keep(api.run(home, url, token_file, call), out)
    if json:
        show_json(made)
        return
    say(made.get("token") or f"The token is in {out}.")


@app.command("certificate")
def certificate(
    name: Annotated[str, typer.Argument(help="Whose it is.")],
    file: Annotated[Path, typer.Argument(help="The tool's certificate, PEM, without its key.")],
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Let a tool show a certificate instead of its token, at the address in `taxii_listen`.

    It may then what the token may, and ends with it.

    Example: lezha token certificate opencti opencti.pem
    """
    try:
        pem = file.read_text()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise CliError(f"{file} can't be read: {why}.") from error

    async def call(node: Api) -> Any:
        return await node.post("/tokens/certificate", {"name": name, "pem": pem})

    made = api.run(home, url, token_file, call)
    if json:
        show_json(made)
        return
    say(f"{name} may show the certificate {made['fingerprint']}.")


@app.command("list")
def list_tokens(
    home: Home = DEFAULT_HOME, url: Url = "", token_file: TokenFile = None, json: Json = False
) -> None:
    """Show whose tokens there are and what they may do.

    Example: lezha token list
    """

    async def call(node: Api) -> Any:
        return await node.get("/tokens")

    found = api.run(home, url, token_file, call)
    if json:
        show_json(found)
        return
    rows = [
        (one["name"], one["role"], one["clearance"] or "–", one["state"], one["created"]) for one in found
    ]
    table(("name", "role", "up to TLP", "state", "since"), rows, "There are no tokens.")


@app.command("revoke")
def revoke(
    name: Annotated[str, typer.Argument(help="Whose it is.")],
    home: Home = DEFAULT_HOME,
    url: Url = "",
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Revoke a token at once.

    Example: lezha token revoke sensor-1
    """

    async def call(node: Api) -> Any:
        return await node.post("/tokens/revoke", {"name": name})

    done = api.run(home, url, token_file, call)
    if json:
        show_json(done)
        return
    say(f"{name} is revoked.")
