"""`lezha identity`: this node's keys and its document, and how they take one another's place."""

import datetime as dt
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lezha.cli.console import note, say, show_json
from lezha.cli.errors import CliError
from lezha.cli.node import is_endpoint
from lezha.cli.options import DEFAULT_HOME, Home, Json
from lezha.federation.document import KnownDocument
from lezha.flows.errors import FlowError
from lezha.node import identity as identities
from lezha.node import rotation
from lezha.node.clock import utc_now
from lezha.node.rotation import Changes
from lezha.web import times

app = typer.Typer(
    help="This node's keys and document: show them, and put new ones in their place. Works on the node's folder; what "
    "is new is announced to peers when the node is started next.",
    no_args_is_help=True,
)
RootKey = Annotated[
    Path, typer.Option(help="The file with the root key, brought back from where it is kept offline.")
]


class Key(StrEnum):
    """What can be put in another's place."""

    SIGNING = "signing"
    TLS = "tls"
    ROOT = "root"
    CARRY = "carry"


@app.command("show")
def show(home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Show who this node is, by which keys it speaks, and what waits to take its place.

    Example: lezha identity show
    """
    home = home.expanduser()
    loaded = identities.load(home)
    one = loaded.known.document
    prepared = rotation.prepared(home)
    if json:
        show_json(
            {
                "member": one.member,
                "name": one.name,
                "number": one.number,
                "issued": one.issued,
                "document": loaded.known.digest,
                "root": one.root,
                "signing": loaded.public,
                "signing_keys": list(one.signing_keys),
                "revoked": [{"key": old.key, "since": old.since} for old in one.revoked],
                "endpoints": list(one.endpoints),
                "phone": one.contact.phone,
                "mail": one.contact.mail,
                "prepared": prepared,
            }
        )
        return
    say(f"{one.title} is {one.member}; node document {one.number} of {one.issued}.")
    say(f"root     {one.root}")
    for public in one.signing_keys:
        say(f"signing  {public}{', in use' if public == loaded.public else ''}")
    for old in one.revoked:
        say(f"revoked  {old.key}, others may hold it since {old.since}")
    say(f"endpoint {one.endpoint or 'none: this node connects to others'}")
    for name in prepared:
        say(f"A new {name} key is prepared, and used once all peers know of it.")


@app.command("renew")
def renew(
    root_key: RootKey,
    endpoint: Annotated[
        str | None, typer.Option(help="Where peers reach this node from now on; empty if they can't.")
    ] = None,
    phone: Annotated[str | None, typer.Option(help="Reachable at any hour.")] = None,
    mail: Annotated[str | None, typer.Option(help="Reachable at any hour.")] = None,
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Make a new document: with another endpoint or other contacts, and without a TLS root that is not used any more.

    Example: lezha identity renew --root-key /media/safe/root.pem --endpoint https://lezha.example.al:8441
    """
    if endpoint and not is_endpoint(endpoint):
        raise CliError("--endpoint must be an https:// URL, as https://192.0.2.10:8441: links use TLS.", 2)
    changes = Changes(endpoint, phone, mail)
    known = rotation.renew(home.expanduser(), root_key, changes, dt.datetime.now(dt.UTC))
    _said(known, "Peers are told when the node is started next.", json=json)


@app.command("rotate")
def rotate(
    key: Annotated[Key, typer.Argument(help="signing, tls, root or carry (what opens carried files).")],
    root_key: RootKey,
    compromised_since: Annotated[
        str,
        typer.Option(
            help="Others may hold the signing key since then: a time as 2026-03-01T12:00:00Z, or 24h, 7d ago. "
            "Whatever is signed by it and was not seen before counts nowhere any more."
        ),
    ] = "",
    new_root_key: Annotated[
        Path | None, typer.Option(help="Of `root`: the file that the new root key is written to.")
    ] = None,
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Make a new key and a document that tells peers of it; it is used once all of them know, that of `carry` at once.

    Example: lezha identity rotate signing --root-key /media/safe/root.pem

    lezha identity rotate signing --root-key /media/safe/root.pem --compromised-since 3d

    lezha identity rotate carry --root-key /media/safe/root.pem

    lezha identity rotate root --root-key /media/safe/root.pem --new-root-key /media/safe/root-2.pem
    """
    home, now = home.expanduser(), dt.datetime.now(dt.UTC)
    if compromised_since and key is not Key.SIGNING:
        raise CliError(
            "--compromised-since is for the signing key. Of a root key that others may hold, call the peers and meet "
            "them anew: lezha identity replace-root.",
            2,
        )
    if (new_root_key is None) is (key is Key.ROOT):
        raise CliError(
            "--new-root-key names the file for a new root key: give it with `root`, only there.", 2
        )
    if new_root_key is not None:
        known = rotation.rotate_root(home, root_key, new_root_key, now)
        _said(known, f"Keep {new_root_key} offline; the root key before it can be destroyed.", json=json)
    elif key is Key.TLS:
        known = rotation.rotate_tls(home, root_key, now)
        words = "Start the node: it tells its peers, and changes over once all of them know. Then: identity renew."
        _said(known, words, json=json)
    elif key is Key.CARRY:
        known = rotation.rotate_carry(home, root_key, now)
        words = (
            "Start the node: it tells its peers. Files that are on their way to it are opened by the key before, "
            "keys/former-carry-…: delete that once none can be on its way any more."
        )
        _said(known, words, json=json)
    elif compromised_since:
        known = rotation.rotate_signing(home, root_key, now, _since(compromised_since))
        words = "Start the node again now: it then signs by the new key, and tells peers not to believe the old one."
        _said(known, words, json=json)
    else:
        known = rotation.rotate_signing(home, root_key, now)
        _said(known, "Start the node: it tells its peers, and changes over once all of them know.", json=json)


@app.command("replace-root")
def replace_root(
    new_root_key: Annotated[Path, typer.Argument(help="The file that the new root key is written to.")],
    home: Home = DEFAULT_HOME,
    json: Json = False,
) -> None:
    """Make a new root key where the old one is lost, or others may hold it. Peers have to be met anew.

    Example: lezha identity replace-root /media/safe/root-2.pem
    """
    known = rotation.replace_root(home.expanduser(), new_root_key, dt.datetime.now(dt.UTC))
    words = "Start the node, then with each peer: lezha peer invite NAME --again, and compare the phrases."
    _said(known, words, json=json)


@app.command("switch")
def switch(home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Use what is prepared now, though some peers may not know of it: those have to be met anew.

    Stop the node first. Example: lezha identity switch
    """
    home = home.expanduser()
    if not rotation.prepared(home):
        raise CliError("Nothing is prepared in this node's folder: lezha identity rotate makes new keys.")
    rotation.switch(home, dt.datetime.now(dt.UTC))
    _said(identities.load(home).known, "Start the node: it uses what was prepared.", json=json)


def _said(known: KnownDocument, words: str, *, json: bool) -> None:
    one = known.document
    if json:
        show_json({"member": one.member, "number": one.number, "document": known.digest})
        return
    say(f"This node's document is number {one.number} now.")
    note(words)


def _since(written: str) -> str:
    """Return a time that lies before now in the form of the log. Raises CliError."""
    try:
        found = times.past(written)
    except FlowError as error:
        raise CliError(str(error), 2) from error
    if found > utc_now():
        raise CliError(f"{written!r} lies in the future.", 2)
    return found
