"""`lezha init` and `lezha serve`."""

import datetime as dt
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from lezha.access import tokens as access_tokens
from lezha.access.rights import Role
from lezha.access.tokens import NewToken
from lezha.cli import interrupt
from lezha.cli.console import say, show_json
from lezha.cli.errors import CliError
from lezha.cli.options import DEFAULT_HOME, Home, Json
from lezha.federation.document import Contact
from lezha.node import identity as identities
from lezha.node import settings as node_settings
from lezha.node.identity import Identity
from lezha.node.settings import Settings


def init(
    name: Annotated[
        str, typer.Option(help="Short name, as peers will call this node by default, e.g. tirana.")
    ],
    endpoint: Annotated[
        str,
        typer.Option(
            help="Where peers reach it, e.g. https://lezha.example.al:8441. Leave it out if nobody can connect to it, "
            "as behind a firewall: it asks its peers then."
        ),
    ] = "",
    title: Annotated[str, typer.Option(help="The organisation's full name.")] = "",
    home: Home = DEFAULT_HOME,
    listen: Annotated[
        str, typer.Option(help="For people and tools; keep it on loopback.")
    ] = "127.0.0.1:8440",
    link_listen: Annotated[str, typer.Option(help="For peers.")] = "0.0.0.0:8441",
    phone: Annotated[str, typer.Option(help="Reachable at any hour.")] = "",
    mail: Annotated[str, typer.Option(help="Reachable at any hour.")] = "",
    database: Annotated[
        str,
        typer.Option(
            envvar="LEZHA_DATABASE",
            help="A new, empty PostgreSQL database, as postgresql+psycopg://user@host/name, for a node of several "
            "processes; otherwise SQLite in the folder. Leave the password out, and in ~/.pgpass (or the file that "
            "PGPASSFILE names) of the user that runs the node.",
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Make a new node: its keys, its node document, its settings, and a token for its administrator.

    Example: lezha init --name tirana --title "National CSIRT of Albania" --endpoint https://192.0.2.10:8441
    """
    interrupt.tidily()
    home = home.expanduser()
    for address in (listen, link_listen):
        node_settings.address(address)
    if endpoint and not is_endpoint(endpoint):
        raise CliError("--endpoint must be an https:// URL, as https://192.0.2.10:8441: links use TLS.", 2)
    if not name or not name.replace("-", "").isalnum() or len(name) > 60:
        raise CliError(f"{name!r} can't name a node: use letters, digits and -.", 2)
    settings = Settings(
        member=identities.new_member(),
        name=name,
        listen=listen,
        link_listen=link_listen,
        endpoint=endpoint,
        database=database,
    )
    identity = make(home, settings, title or name, Contact(phone, mail))
    if json:
        show_json({"member": identity.member, "home": str(home), "document": identity.known.digest})
        return
    say(f"{title or name} is {identity.member}; its node is in {home}.")
    say(
        f"Move {home / 'keys' / 'root.pem'} to a place offline: it vouches for the keys that this node uses every day."
    )
    say(f"Next: lezha serve --home {home}")


def make(home: Path, settings: Settings, title: str, contact: Contact) -> Identity:
    """Make a node in the new or empty folder `home`, with a token for its administrator; all of it, or nothing.

    Raises CliError; NodeError or StoreError if there is a database in its settings that can't be used.
    """
    mask = os.umask(0o077)
    try:
        return _make(home, settings, title, contact)
    finally:
        os.umask(mask)


def _make(home: Path, settings: Settings, title: str, contact: Contact) -> Identity:
    made = [folder for folder in (home, *home.parents) if not folder.exists()]
    try:
        home.mkdir(parents=True, exist_ok=True)
        empty = not any(home.iterdir())
        if empty:
            home.chmod(0o700)  # whatever is written into it later, and by whatever mask
    except OSError as error:
        raise CliError(f"A node can't be made in {home}: {error.strerror}.") from error
    if not empty:
        raise CliError(f"{home} is not empty: a node is made in a new folder, never over another one.")
    try:
        return _fill(home, settings, title, contact)
    except BaseException:
        _undo(home, made)
        raise


def _undo(home: Path, made: Sequence[Path]) -> None:
    """Leave the folder as it was, empty, or not there."""
    for path in home.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for folder in made:
        folder.rmdir()


def _fill(home: Path, settings: Settings, title: str, contact: Contact) -> Identity:
    if settings.database:
        from lezha.node.database import check_new

        check_new(settings.database)
    identity = identities.create(home, settings, title, contact, dt.datetime.now(dt.UTC))
    made = access_tokens.mint()
    keep_token(home, "admin", Role.ADMIN, made)
    identities.write_secret(home / identities.ADMIN_TOKEN, made.text.encode() + b"\n")
    return identity


def keep_token(home: Path, name: str, role: Role, made: NewToken) -> None:
    """Make a token known to a node that is not running."""
    from lezha.node.database import open_log
    from lezha.store import tokens

    log = open_log(home, node_settings.load(home), new=True)
    try:
        log.write_now(lambda tx: tokens.add(tx, made.id, name, role, made.digest, "init"))
    finally:
        log.close()


def serve(
    home: Home = DEFAULT_HOME,
    people_only: Annotated[
        bool,
        typer.Option(
            "--people-only",
            help="Serve people and tools beside the process that runs the links, here or on another machine with a "
            "copy of the folder. Needs PostgreSQL.",
        ),
    ] = False,
    listen: Annotated[
        str, typer.Option(help="With --people-only: where, instead of the `listen` of lezha.toml.")
    ] = "",
) -> None:
    """Run the node until it is told to stop (SIGTERM, Ctrl-C). To stderr go a line that says where
    it listens, and logs, a JSON object a line.

    Example: lezha serve --home /var/lib/lezha
    """
    from lezha.cli.serve import run, run_for_people

    if people_only:
        run_for_people(home.expanduser(), listen)
        return
    if listen:
        raise CliError("--listen goes with --people-only: the whole node listens where lezha.toml says.", 2)
    run(home.expanduser())


def is_endpoint(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
