"""A node's settings: `lezha.toml` in its folder. Nothing else reads files or the environment for settings."""

import tomllib
from pathlib import Path
from typing import Annotated, Final

import msgspec
from sqlalchemy.engine import make_url

from lezha.detection import constituency
from lezha.federation import door
from lezha.node.errors import NodeError
from lezha.sharing.tlp import Tlp
from lezha.stix.clauses import COMPANION_TYPES
from lezha.store import peers

FILE: Final = "lezha.toml"
DATABASE: Final = "lezha.db"
LOCK: Final = "serve.lock"
"""The file that the process which serves the node holds locked."""
_LEAST_BUNDLE: Final = 1 << 10
_MOST_BUNDLE: Final = 1 << 30
POLICY: Final = r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,90}\.cedar\Z"
"""The name of a file in the folder, which backups hold too."""
_PEM: Final = r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,90}\.pem\Z"
_MOST_HOURS: Final = 24 * 7


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Objects of `type` are purged when they have been here for `days`."""

    type: Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9]*(?:-[a-z0-9]+)*\Z", max_length=250)]
    days: Annotated[int, msgspec.Meta(ge=1, le=36_500)]

    def __post_init__(self) -> None:
        """Raise ValueError for what other objects can't be told without."""
        if self.type in COMPANION_TYPES:
            raise ValueError(f"{self.type} can't be purged by age, other objects are not told without it")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator may change.

    `listen` is for people and tools, plain HTTP: loopback, or behind a reverse proxy. `link_listen` is for peers,
    TLS on both sides. `endpoint` is where peers find the latter. `database` is the URL of a PostgreSQL database; empty
    means SQLite in the folder. `peer_clearance` is what a newly confirmed peer may receive at most. `retention` says
    what is purged when. `policy` names the Cedar file in the folder that says what may leave; empty means none.
    `proxies` are the addresses of reverse proxies that are believed when they say from where a request comes.
    `checkpoint_hours` is how often peers are given a commitment to this node's log, 0 for never. `constituency` are the
    networks and domains of which publishing warns, and which are looked for on no peer's word.
    `peer_hourly` is how many objects are taken from one peer in an hour, unless that peer has a limit of its own.
    With `pull` this node asks peers for what they have for it, also though they could connect; a node without an
    endpoint always does.
    `taxii_listen` is for tools that speak TAXII, over TLS with the certificate and key in the PEM file
    `taxii_certificate` of the folder; empty means that they find it at `listen` alone.
    `link_per_address` is how many connections without a peer's certificate `link_listen` has from one address.
    `max_bundle_bytes`, 1 KiB to 1 GiB, is what is taken in one request.
    """

    member: str
    name: str
    listen: str = "127.0.0.1:8440"
    link_listen: str = "0.0.0.0:8441"
    endpoint: str = ""
    database: str = ""
    peer_clearance: Tlp = Tlp.STRICT
    max_bundle_bytes: Annotated[int, msgspec.Meta(ge=_LEAST_BUNDLE, le=_MOST_BUNDLE)] = 64 << 20
    retention: tuple[Retention, ...] = ()
    policy: Annotated[str, msgspec.Meta(pattern=rf"\A\Z|{POLICY}")] = ""
    proxies: tuple[str, ...] = ()
    checkpoint_hours: Annotated[int, msgspec.Meta(ge=0, le=_MOST_HOURS)] = 24
    constituency: tuple[str, ...] = ()
    peer_hourly: Annotated[int, msgspec.Meta(ge=1, le=peers.MOST_HOURLY)] = 200_000
    pull: bool = False
    taxii_listen: str = ""
    taxii_certificate: Annotated[str, msgspec.Meta(pattern=_PEM)] = "taxii.pem"
    link_per_address: Annotated[int, msgspec.Meta(ge=1, le=door.STRANGERS)] = 50

    def __post_init__(self) -> None:
        """Raise ValueError if an entry of `constituency` is no network and no domain."""
        constituency.parse(self.constituency)


def load(home: Path) -> Settings:
    """Read the settings of the node in `home`. Raises NodeError."""
    path = home / FILE
    try:
        return msgspec.convert(tomllib.loads(path.read_text()), Settings)
    except FileNotFoundError:
        raise NodeError(f"There is no node in {home}: `lezha init` makes one.") from None
    except NotADirectoryError:
        raise NodeError(f"{home} is a file: name the node's folder.") from None
    except OSError as error:
        raise NodeError(f"{path} can't be read: {error.strerror}.") from error
    except (msgspec.ValidationError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        known = f" ({', '.join(Tlp)})" if "$.peer_clearance" in str(error) else ""
        raise NodeError(f"{path} can't be used: {error}{known}. Mend that line.") from error


def database(home: Path, settings: Settings) -> str:
    """Return the URL of the node's database."""
    return settings.database or f"sqlite:///{home / DATABASE}"


def write(home: Path, settings: Settings) -> None:
    """Write the settings of a new node."""
    lines = [f"{name} = {_toml(value)}" for name, value in msgspec.to_builtins(settings).items()]
    (home / FILE).write_text("\n".join(lines) + "\n")


def told(settings: Settings) -> dict[str, str]:
    """Return the settings as they are written into the log when they change: of the database's URL no password."""
    given: dict[str, object] = msgspec.to_builtins(settings)
    if settings.database:
        given["database"] = (
            make_url(settings.database).difference_update_query(["password"]).render_as_string()
        )
    return {name: _toml(value) for name, value in given.items()}


def address(text: str) -> tuple[str, int]:
    """Split `host:port` (an IPv6 host in brackets). Raises NodeError."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and len(port) <= 5) or int(port) > 65535:
        raise NodeError(f"{text!r} is not an address to listen on: write host:port, e.g. 127.0.0.1:8440.")
    return host.strip("[]"), int(port)


def _toml(value: object) -> str:
    # A JSON string or number is a TOML one too (TOML 1.0, basic strings).
    return msgspec.json.encode(value).decode()
