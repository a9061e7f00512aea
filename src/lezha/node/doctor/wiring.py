"""Settings that can be read and make no sense, and the file of the national policy."""

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from lezha.node import national
from lezha.node import settings as node_settings
from lezha.node.doctor.findings import Finding, Grade
from lezha.node.errors import NodeError
from lezha.node.settings import Settings

_POLICY: Final = "policy.cedar"


def examine(home: Path, settings: Settings) -> Iterator[Finding]:
    """Look at addresses, proxies, the database's URL and the policy's file."""
    yield from _listeners(settings)
    yield from _proxies(settings)
    yield from _policy(home, settings)
    if _has_password(settings.database):
        yield Finding(
            Grade.SOON,
            "password",
            "The password of the database is written in lezha.toml.",
            do="Put it into ~/.pgpass of the user that the node runs as, and take it out of the URL.",
        )
    if not settings.checkpoint_hours:
        yield Finding(
            Grade.NOTE,
            "checkpoints_off",
            "checkpoint_hours is 0: no peer can ever prove that this node's log was not changed.",
            do="Set it to 24, unless that is wanted.",
        )


def _listeners(settings: Settings) -> Iterator[Finding]:
    try:
        (host, port), (_, link_port) = map(node_settings.address, (settings.listen, settings.link_listen))
    except NodeError as error:
        yield Finding(Grade.NOW, "listen", str(error), do="Mend that line of lezha.toml.")
        return
    if port == link_port:
        yield Finding(
            Grade.NOW,
            "listen",
            f"People and peers are to be served on the same port, {port}: the node does not start.",
            do="Give `listen` and `link_listen` in lezha.toml two ports.",
        )
    if not _is_loopback(host):
        yield Finding(
            Grade.SOON,
            "plain_http",
            f"People and tools are served on {settings.listen} in plain HTTP: tokens can be read on the way.",
            do="Listen on loopback and put a proxy with TLS in front (docs/operations.md).",
        )


def _proxies(settings: Settings) -> Iterator[Finding]:
    for one in settings.proxies:
        if one == "*":
            what = "proxies says `*`: whoever asks is believed about where he comes from."
        elif not _is_network(one):
            what = f"{one!r} in proxies is no address: nothing is believed of such a proxy."
        else:
            continue
        yield Finding(Grade.SOON, "proxies", what, do="Name the addresses of your reverse proxies.")


def _policy(home: Path, settings: Settings) -> Iterator[Finding]:
    try:
        national.wanted(home, settings)
    except NodeError as error:
        yield Finding(Grade.NOW, "policy", str(error), do="`lezha policy check` says more.")
    if not settings.policy and (home / _POLICY).is_file():
        yield Finding(
            Grade.NOTE,
            "policy",
            f"{_POLICY} lies in the folder, but no setting names it: nothing is decided by it.",
            do=f'Write policy = "{_POLICY}" into lezha.toml, or take the file away.',
        )


def reached_at(settings: Settings, endpoint: str) -> Iterator[Finding]:
    """Look whether peers are told to come where this node listens."""
    if settings.endpoint and settings.endpoint != endpoint:
        yield Finding(
            Grade.NOTE,
            "endpoint",
            f"lezha.toml says endpoint = {settings.endpoint}, the signed node document {endpoint}: the latter counts.",
            do="Write the latter into lezha.toml too.",
        )
    host, told = node_settings.address(settings.link_listen)[0], urlsplit(endpoint).hostname or ""
    if _is_loopback(host) and not _is_loopback(told):
        yield Finding(
            Grade.NOTE,
            "endpoint",
            f"Peers are told to come to {endpoint}, and the node listens for them on loopback only.",
            do="See that a proxy passes their connections on (docs/operations.md), or change `link_listen`.",
        )


def _has_password(url: str) -> bool:
    try:
        made = make_url(url) if url else None
    except (SQLAlchemyError, ValueError):
        return False  # the database's own finding says more
    return made is not None and bool(made.password or made.query.get("password"))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
